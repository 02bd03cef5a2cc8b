"""Recordings through the pipeline: a sweep is never agreement in time, the ledger meets the recorded positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sigmapilot_core.adapters.recordings import fill_files, sweeps
from sigmapilot_core.domain.evaluation.recorded import Recorded, lots, play
from sigmapilot_core.domain.evaluation.recorded_summary import summary
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
T0 = 20_000 * DAY_MS
USERS = tuple(f"0x{number:040x}" for number in range(1, 5))


def bars(hours: int) -> tuple[Bar, ...]:
    """A slowly rising market that swings by one percent an hour."""
    found = []
    for n in range(-hours, hours):
        opened = 50_000.0 * (1 + 0.0005 * n)
        closed = 50_000.0 * (1 + 0.0005 * (n + 1))
        found.append(
            Bar("BTC", T0 + n * HOUR_MS, T0 + (n + 1) * HOUR_MS, opened, closed * 1.005, opened * 0.995, closed, 500.0)
        )
    return tuple(found)


def recording(earliest_ms: int, measures_time: bool) -> Recorded:
    """Four accounts buy; all is received at one instant, and may have happened from `earliest_ms` before it on."""
    at = T0 + HOUR_MS
    fills = tuple(
        Fill(user, "BTC", True, Decimal(50_000), Decimal(10), at - earliest_ms, n, True, start_position=Decimal(0))
        for n, user in enumerate(USERS)
    )
    hourly = {"BTC": bars(200)}
    return Recorded("made up", fills, (at,) * 4, hourly, hourly, lots(fills), measures_time)


def verdicts(found: Recorded) -> dict[str, str]:
    decision = play(found).decisions[-1]
    assert decision.agreeing_count == 4
    return {gate.name: gate.verdict.value for gate in decision.gates}


def test_acts_of_one_sweep_are_too_old_to_agree_in_time_and_their_independence_is_unknown() -> None:
    told = verdicts(recording(HOUR_MS, measures_time=False))
    assert (told["min_traders"], told["supermajority"]) == ("pass", "pass")
    assert (told["freshness"], told["effective_k"]) == ("fail", "unknown")


def test_the_same_acts_at_known_times_are_fresh() -> None:
    assert verdicts(recording(1_000, measures_time=True))["freshness"] == "pass"


def test_what_was_not_recorded_is_unknown_and_ends_in_a_skip() -> None:
    result = play(recording(1_000, measures_time=True))
    assert {decision.decision_type.value for decision in result.decisions} == {"skip"}
    told = verdicts(recording(1_000, measures_time=True))
    assert {told[name] for name in ("inputs_fresh", "price_band", "ev_gate")} == {"unknown"}


def test_an_agreement_is_followed_from_the_next_bar_on_whatever_the_other_gates_said() -> None:
    (agreed,) = [a for a in play(recording(1_000, measures_time=True)).agreed if a.decision.agreeing_count == 4]
    assert agreed.entry_ms == T0 + HOUR_MS
    assert agreed.outcome is not None
    assert agreed.outcome.reason.value == "take_profit"


def test_without_candles_r_is_unknown_and_nothing_is_learnt() -> None:
    found = recording(1_000, measures_time=True)
    closing = tuple(
        replace(f, is_buy=False, tid=100 + f.tid, time_ms=f.time_ms + MINUTE_MS, start_position=Decimal(10))
        for f in found.fills
    )
    both = replace(found, fills=found.fills + closing, received_ms=found.received_ms + (T0 + HOUR_MS + MINUTE_MS,) * 4)
    assert len(play(both).learnable) == 4
    blind = play(replace(both, hourly={}))
    assert (len(blind.episodes), len(blind.learnable)) == (4, 0)


def folder(name: str) -> Path:
    found = DATA / name
    if not found.exists():
        pytest.skip(f"recorded data is not beside the project (../shared/data/{name})")
    return found


RELAY = "hl-candles-relay-202607-08"
READERS: dict[str, tuple[str, Callable[[], Recorded]]] = {
    "whales": (
        "hl-whale-events-202608",
        lambda: sweeps.whales(folder("hl-whale-events-202608"), folder(RELAY)),
    ),
    "leaders": (
        "hl-leader-fills-202607",
        lambda: fill_files.leaders(folder("hl-leader-fills-202607"), folder(RELAY)),
    ),
    "four traders": (
        "hl-4traders-fills-2024-2025",
        lambda: fill_files.four_traders(folder("hl-4traders-fills-2024-2025"), folder("okx-1h-candles-2023-2026")),
    ),
}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "fills", "traders"), [("whales", 1_177, 94), ("leaders", 2_205, 7), ("four traders", 14_530, 4)]
)
def test_a_recording_goes_through_whole_and_gives_no_signal(name: str, fills: int, traders: int) -> None:
    result = play(READERS[name][1]())
    told = summary(result)
    assert (told["input"]["applied"], told["input"]["traders"]) == (fills, traders)
    assert told["decisions"]["decisions"] == told["decisions"]["skip"] > 0
    assert all(set(counts) <= {"pass", "fail", "unknown"} for counts in told["gates"].values())
    if name == "whales":
        assert "pass" not in told["gates"]["freshness"], "a shared sweep was taken as agreement in time"
        assert told["correlation"]["measured"] == 0
    else:
        # start positions join almost everywhere: 0 of 2,205 and 6 of 14,530 do not
        assert told["input"]["ledger gaps"] <= 6
