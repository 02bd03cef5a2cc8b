"""The independent cases of ../shared/vectors, and the checks that the specification itself prints.

In these topics no case contradicts the specification.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.atr import stop_fraction, true_range, wilder_atr
from sigmapilot_core.domain.market.stops import stop_bps, stop_price, take_profit_price
from sigmapilot_core.domain.params import VolatilityParams
from sigmapilot_core.domain.risk.kelly import kelly_fraction, payoff_ratio

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "consensus.json"
PARAMS = VolatilityParams()


def atr(case: dict[str, Any]) -> float | None:
    """Bars are written as rules in the file; they are spelt out here."""
    index = np.arange(20.0)
    bars = {
        "atr-04": (102 + index, 99 + index, 101 + index),
        "atr-05": (101 + 0.5 * index[:18], 99 - 0.25 * index[:18], 100 + index[:18] % 3),
    }
    closes = case["input"].get("closes_only")
    high, low, close = (closes, closes, closes) if closes else bars[case["id"]]
    return wilder_atr(high, low, close, PARAMS)


def atr_stop(case: dict[str, Any]) -> float:
    """Percent of the price; two cases name their ATR in words."""
    given = case["input"]
    words = {"BTC hardcoded .4%": 0.004, "ETH hardcoded .6%": 0.006}
    fraction = words[given["atr_pct"]] if "atr_pct" in given else given["atr"] / given["price"]
    return 100 * stop_fraction(fraction, given["mult"], PARAMS)


def kelly(case: dict[str, Any]) -> float:
    """Two cases write the average loss as a signed number; W and L are both positive here (spec 3)."""
    given = case["input"]
    return kelly_fraction(given["p"], payoff_ratio(given["avg_win_r"], abs(given["avg_loss_r"])))


RULES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "atr": atr,
    "atr_stop": atr_stop,
    "kelly_fraction": kelly,
    "stop_bps": lambda case: stop_bps(case["input"]["entry"], case["input"]["stop"]),
    "stop_clamp": lambda case: stop_fraction(case["input"]["stop_fraction"], 1.0, PARAMS),
    "stop_price": lambda case: stop_price(
        case["input"]["entry"], Direction(case["input"]["side"]), case["input"]["frac"]
    ),
    "true_range": lambda case: true_range(case["input"]["high"], case["input"]["low"], case["input"]["prev_close"]),
}


def within(case: dict[str, Any]) -> Any:
    """The expected number with the case's tolerance: absolute unless it says `rel`."""
    expected = case["expected"]
    number = expected["stop_pct"] if isinstance(expected, dict) else expected
    tolerance = case["tolerance"]
    if isinstance(tolerance, str):
        share = tolerance.removeprefix("rel ")
        return pytest.approx(number, rel=float(share.rstrip("%")) / (100 if "%" in share else 1))
    return pytest.approx(number, abs=max(tolerance, 1e-12), rel=0)


def cases() -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        return []
    return [case for case in json.loads(VECTORS.read_text()) if case["topic"] in RULES]


@pytest.mark.skipif(not VECTORS.is_file(), reason="the shared vectors are not beside the project")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_shared_vector(case: dict[str, Any]) -> None:
    assert RULES[case["topic"]](case) == within(case)


def test_every_topic_has_a_case_when_the_vectors_are_there() -> None:
    assert not VECTORS.is_file() or {case["topic"] for case in cases()} == set(RULES)


def test_first_bar_of_a_run_counts_with_its_own_range() -> None:
    # closes only (H = L = C): 14 ranges 0,1,.5,1.5,1,2,1,2,.5,1.5,1,2,1,2 have the mean 17/14; then 1 and 2 by Wilder
    closes = [100, 101, 100.5, 102, 101, 103, 102, 104, 103.5, 105, 104, 106, 105, 107, 106, 108]
    by_hand = (13 * ((13 * (17 / 14) + 1) / 14) + 2) / 14
    assert wilder_atr(closes, closes, closes, PARAMS) == pytest.approx(by_hand, abs=1e-12)


def test_stop_and_take_profit_by_hand() -> None:
    assert stop_price(50_000, Direction.SHORT, 0.01) == 50_500
    assert stop_price(50_000, Direction.LONG, 0.01) == 49_500
    assert take_profit_price(50_000, Direction.LONG, 0.01, 2.0) == pytest.approx(51_000)
    assert take_profit_price(50_000, Direction.SHORT, 0.01, 2.0) == pytest.approx(49_000)
    assert stop_bps(50_000, 49_000) == pytest.approx(200)


@pytest.mark.parametrize(("entry", "fraction"), [(0.0, 0.01), (float("nan"), 0.01), (100.0, 0.0), (100.0, 1.0)])
def test_impossible_stops_are_errors(entry: float, fraction: float) -> None:
    with pytest.raises(ValueError, match="allowed"):
        stop_price(entry, Direction.LONG, fraction)
