"""Unknown never passes: NaN at any place of the inputs, missing parts, old parts (spec: three values; 4.1, 5.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from decision_builders import NOW, PARAMS, decided, inputs, not_passed, risk, voters

from sigmapilot_core.domain.consensus.decision import decide
from sigmapilot_core.domain.consensus.freshness import input_states
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, without_unknowns
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.events import Book, Level
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.market.volatility import VolatilitySource
from sigmapilot_core.domain.params import Params, VolatilityParams

Path = tuple[str | int, ...]
NAN = {float: float("nan"), Decimal: Decimal("NaN")}
INF = {float: float("inf"), Decimal: Decimal("Infinity")}

# Places whose number is either not used, or whose absence has a meaning of its own in the specification: an unmeasured
# pair (rho0), an unknown percentile (shortest life of a vote), an unknown own fee (base tier).
HARMLESS = {
    ("pairs", "rho"), ("pairs", "phi_common"), ("volatility", "percentile"), ("volatility", "atr"),
    ("volatility", "price"), ("regime", "ma_spread"), ("regime", "volatility_ratio"), ("taker_fee_bps",),
}  # fmt: skip


def numbers(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of every float and Decimal inside."""
    if isinstance(value, float | Decimal):
        yield path
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from numbers(getattr(value, item.name), (*path, item.name))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from numbers(item, (*path, i))


def put(value: Any, path: Path, bad: dict[type, Any]) -> Any:
    """The value with the number at a path replaced; classes that refuse it are circumvented."""
    if not path:
        return bad[type(value)]
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return (*value[:head], put(value[head], rest, bad), *value[head + 1 :])
    copy = object.__new__(type(value))
    for item in dataclasses.fields(value):
        object.__setattr__(copy, item.name, getattr(value, item.name))
    object.__setattr__(copy, head, put(getattr(value, head), rest, bad))
    return copy


BASE = inputs(taker_fee_bps=4.5)
PATHS = list(numbers(BASE))


@pytest.mark.parametrize("bad", [NAN, INF], ids=["nan", "inf"])
def test_a_number_that_is_not_finite_is_unknown_wherever_it_stands(bad: dict[type, Any]) -> None:
    assert len(PATHS) > 60
    for path in PATHS:
        decision = decide(put(BASE, path, bad), PARAMS)
        named = tuple(part for part in path if isinstance(part, str))
        unknown = [r.name for r in (*decision.gates, *decision.risk_checks) if r.passed is None]
        if named not in HARMLESS:
            assert decision.decision_type is not DecisionType.SIGNAL, path
            assert unknown, path


def test_an_unknown_part_is_stored_as_unknown_and_recomputed_alike() -> None:
    spoilt = put(BASE, ("volatility", "stop_fraction"), NAN)
    cleaned = without_unknowns(spoilt)
    assert cleaned.volatility is None
    again = DecisionInputs.from_json(cleaned.to_json())
    assert decide(again, PARAMS).to_json() == decide(spoilt, PARAMS).to_json()


def test_finite_inputs_are_left_as_they_are() -> None:
    assert without_unknowns(BASE) is BASE


@pytest.mark.parametrize(
    "missing",
    ["book", "rho0", "venue_clock_offset_ms", "feed_last_frame_ms", "volatility", "regime", "funding_rate_hourly",
     "costs_as_of_ms", "hold", "calibration", "posterior_as_of_ms", "correlation_as_of_ms", "leaderboard_as_of_ms",
     "risk"],
)  # fmt: skip
def test_every_missing_input_is_unknown(missing: str) -> None:
    decision = decided(**{missing: None})
    assert decision.decision_type is DecisionType.SKIP
    assert None in not_passed(decision).values()


@pytest.mark.parametrize(
    ("field", "limit_s"),
    [
        ("feed_last_frame_ms", 10),
        ("posterior_as_of_ms", 26 * 3600),
        ("correlation_as_of_ms", 26 * 3600),
        ("leaderboard_as_of_ms", 50 * 3600),
        ("costs_as_of_ms", 3600),
    ],
)
def test_inputs_pass_up_to_their_age_limit(field: str, limit_s: int) -> None:
    assert not_passed(decided(**{field: NOW - 1000 * limit_s})) == {}
    assert not_passed(decided(**{field: NOW - 1000 * limit_s - 1})) == {"inputs_fresh": False}


def test_book_and_account_have_their_limits() -> None:
    aged = dataclasses.replace(BASE.book, received_ms=NOW - 5_001)  # type: ignore[type-var]
    assert not_passed(decided(book=aged))["inputs_fresh"] is False
    assert not_passed(decided(risk=risk(as_of_ms=NOW - 30_001))) == {"inputs_fresh": False}


def test_the_gate_names_what_is_old_and_the_worst_share() -> None:
    gate = decided(feed_last_frame_ms=NOW - 20_000).gate("inputs_fresh")
    assert (gate.value, gate.threshold) == (2.0, 1.0)
    assert "feed: 20.0 s old, at most 10.0 s" in gate.detail


@pytest.mark.parametrize("source", [VolatilitySource.REALISED_VOL, VolatilitySource.FALLBACK])
def test_the_fallback_volatility_is_refused_in_strict_mode_only(source: VolatilitySource) -> None:
    estimate = dataclasses.replace(BASE.volatility, source=source, bar_close_ms=None, percentile=None)  # type: ignore[type-var]
    is_refused = source is VolatilitySource.FALLBACK
    assert (not_passed(decided(volatility=estimate)) == {"inputs_fresh": False}) is is_refused
    lenient = Params(volatility=VolatilityParams(strict_mode=False))
    assert not_passed(decided(params=lenient, volatility=estimate)) == {}


def test_volatility_and_regime_need_recent_bars_and_a_recent_computation() -> None:
    old_bar, old_run = NOW - 2 * 3_600_000 - 1, NOW - 900_001
    for name in ("volatility", "regime"):
        estimate = getattr(BASE, name)
        for change in ({"bar_close_ms": old_bar}, {"computed_at_ms": old_run}):
            assert not_passed(decided(**{name: dataclasses.replace(estimate, **change)})) == {"inputs_fresh": False}


def test_an_unknown_regime_has_effects_of_its_own_and_no_bar_to_be_old() -> None:
    estimate = dataclasses.replace(BASE.regime, regime=Regime.UNKNOWN, bar_close_ms=None)  # type: ignore[type-var]
    decision = decided(regime=estimate)
    assert decision.decision_type is DecisionType.SIGNAL
    assert decision.trade_stop_fraction == 0.02


def test_a_crossed_book_and_a_wrong_clock_are_not_sane() -> None:
    crossed = Book("BTC", NOW, NOW, (Level(Decimal(50_001), Decimal(1)),), (Level(Decimal(50_000), Decimal(1)),))
    assert not_passed(decided(book=crossed)) == {"inputs_fresh": False, "price_band": None, "ev_gate": None}
    assert not_passed(decided(venue_clock_offset_ms=5_001)) == {"inputs_fresh": False}
    assert not_passed(decided(venue_clock_offset_ms=-5_001)) == {"inputs_fresh": False}


def test_a_stamp_in_the_future_is_unknown() -> None:
    assert not_passed(decided(posterior_as_of_ms=NOW + 60_000)) == {"inputs_fresh": None}


def test_a_coin_with_an_incomplete_record_is_unknown() -> None:
    decision = decided(unknown_reason="a frame could not be read")
    assert not_passed(decision) == {"inputs_fresh": None}
    assert "a frame could not be read" in decision.gate("inputs_fresh").detail


def test_an_unknown_input_is_not_hidden_behind_a_failing_one() -> None:
    gate = decided(feed_last_frame_ms=NOW - 20_000, leaderboard_as_of_ms=None).gate("inputs_fresh")
    assert gate.passed is None
    assert "feed: 20.0 s old" in gate.detail
    assert "leaderboard: not known" in gate.detail


def test_every_input_of_section_five_four_is_looked_at() -> None:
    names = {state.name for state in input_states(BASE, PARAMS)}
    assert names == {
        "record of the coin", "book", "venue clock", "feed", "volatility bar", "volatility computed", "regime bar",
        "regime computed", "posteriors", "correlations", "leaderboard", "costs", "account",
    }  # fmt: skip


def test_a_voter_without_a_usable_posterior_makes_k_and_ev_unknown() -> None:
    for change in ({"kappa": 0.0}, {"alpha": 0.5}, {"beta": -1.0}, {"m": None}):
        found = voters(3)
        spoilt = (dataclasses.replace(found[0], **change), *found[1:])
        assert not_passed(decided(spoilt)) == {"effective_k": None, "ev_gate": None}
