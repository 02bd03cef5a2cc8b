"""How much skill the test finds: the table of docs/decisions.md, drawn again with the product's own functions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders.skill import fdr_qualified, skill_test

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[3] / "docs" / "decisions.md"
TRADERS, SKILLED, DAYS, WORLDS = 300, 15, 60, 120
ALLOWED = {0.15: 0.02, 0.30: 0.06, 0.45: 0.06}
"""Deviation from the table: about two standard errors of 120 worlds and of the table's own rounding."""


def told() -> dict[float, float]:
    """Mean net R and share found, as the document says."""
    text = DOCS.read_text().partition("## Power of the skill test")[2]
    return {float(mean): float(share) / 100 for mean, share in re.findall(r"^\| (\.\d+) \| ([\d.]+) % \|$", text, re.M)}


def found(mean_r: float) -> tuple[float, float]:
    """(share of the skilled that is found, share of the found that is not skilled), one episode a day."""
    rng = np.random.Generator(np.random.Philox(key=2026))
    times = np.arange(DAYS, dtype=np.int64) * DAY_MS
    hits, false, all_found = 0, 0, 0
    for _ in range(WORLDS):
        mean = np.where(np.arange(TRADERS) < SKILLED, mean_r, 0.0)
        r = np.clip(mean[:, None] + rng.standard_normal((TRADERS, DAYS)), -2.0, 2.0)
        labels = fdr_qualified({str(i): skill_test(times, r[i]) for i in range(TRADERS)})
        hits += sum(labels[str(i)] is True for i in range(SKILLED))
        false += sum(labels[str(i)] is True for i in range(SKILLED, TRADERS))
        all_found = hits + false
    return hits / (WORLDS * SKILLED), false / max(all_found, 1)


def test_the_table_names_three_means() -> None:
    assert set(told()) == set(ALLOWED)


@pytest.mark.parametrize("mean_r", sorted(ALLOWED))
def test_the_power_in_the_document_is_the_power_of_the_test(mean_r: float) -> None:
    power, _ = found(mean_r)
    assert abs(power - told()[mean_r]) <= ALLOWED[mean_r]


def test_of_those_found_about_a_tenth_is_not_skilled() -> None:
    _, false_share = found(0.45)
    assert false_share <= 0.13, "the false-discovery rate is held at 0.10 on average"
