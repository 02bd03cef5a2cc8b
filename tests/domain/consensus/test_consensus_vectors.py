"""Independent input and output cases kept beside the project; the core of them stands in the gates' own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sigmapilot_core.domain.consensus import gates
from sigmapilot_core.domain.params import ConsensusParams

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "consensus.json"


def cases(topic: str) -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        pytest.skip("the vectors of ../shared are absent")
    return [case for case in json.loads(VECTORS.read_text()) if case["topic"] == topic]


def test_supermajority_agrees_with_the_vectors() -> None:
    for case in cases("supermajority"):
        given, expected = case["input"], case["expected"]
        longs, shorts = given["long"], given["short"]
        rules = ConsensusParams(min_pct=given["min_pct"], min_traders=given.get("min_agreeing", 3))
        share = gates.supermajority(max(longs, shorts), longs + shorts, rules)
        enough = gates.min_traders(max(longs, shorts), rules)
        passed = share.passed is True and enough.passed is True
        if isinstance(expected, dict):
            assert (passed, share.value) == (expected["passed"], expected["pct"]), case["id"]
        else:
            direction = gates.direction_of(longs, shorts).value if passed else ""
            assert [passed, direction] == expected, case["id"]


def test_price_band_agrees_with_the_vectors() -> None:
    for case in cases("price_band"):
        given, expected, tolerance = case["input"], case["expected"], case["tolerance"]
        median = given.get("median") or sorted(given["prices"])[1]
        result = gates.price_band(float(given["mid"]), float(median), given["stop_bps"] / 10_000)
        assert (result.passed is True) is expected["passed"], case["id"]
        if "drift_r" in expected:
            assert result.value == pytest.approx(expected["drift_r"], abs=max(tolerance, 1e-9)), case["id"]
