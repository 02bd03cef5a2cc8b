"""Bars: closed ones only, holes named (spec 5.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bar_builders import START_MS, minutes, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.market.bars import aggregate, check_bar, contiguous_runs, contiguous_tail, timeframe_ms
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS


def test_an_hour_takes_first_open_extremes_last_close_and_the_sum_of_volumes() -> None:
    source = minutes(60)
    (hour,) = aggregate(source, HOUR_MS, START_MS + HOUR_MS).bars
    assert (hour.open_ms, hour.close_ms) == (START_MS, START_MS + HOUR_MS)
    assert (hour.open, hour.close) == (source[0].open, source[-1].close)
    assert hour.high == max(b.high for b in source)
    assert hour.low == min(b.low for b in source)
    assert hour.volume == pytest.approx(sum(b.volume for b in source))


def test_an_hour_that_has_not_closed_gives_neither_bar_nor_gap() -> None:
    assert aggregate(minutes(60), HOUR_MS, START_MS + HOUR_MS - 1) == aggregate([], HOUR_MS, START_MS)


def test_an_hour_with_a_missing_minute_is_a_gap_and_no_bar() -> None:
    result = aggregate(minutes(180, missing=[70]), HOUR_MS, START_MS + 3 * HOUR_MS)
    assert [b.open_ms for b in result.bars] == [START_MS, START_MS + 2 * HOUR_MS]
    (gap,) = result.gaps
    assert (gap.open_ms, gap.close_ms, gap.present, gap.expected) == (
        START_MS + HOUR_MS,
        START_MS + 2 * HOUR_MS,
        59,
        60,
    )


def test_a_tolerated_missing_minute_gives_the_bar() -> None:
    result = aggregate(minutes(180, missing=[70]), HOUR_MS, START_MS + 3 * HOUR_MS, max_missing=1)
    assert len(result.bars) == 3
    assert result.gaps == ()


def test_neighbouring_gaps_are_joined_and_reach_up_to_now() -> None:
    (gap,) = aggregate(minutes(60), HOUR_MS, START_MS + 4 * HOUR_MS + 1).gaps
    assert (gap.open_ms, gap.close_ms, gap.present, gap.expected) == (
        START_MS + HOUR_MS,
        START_MS + 4 * HOUR_MS,
        0,
        180,
    )


@given(missing=st.sets(st.integers(0, 299), max_size=40), late=st.integers(0, 90))
@settings(max_examples=60, deadline=None)
def test_every_closed_interval_is_either_a_bar_or_within_a_gap(missing: set[int], late: int) -> None:
    source = minutes(300, missing=sorted(missing))
    now_ms = START_MS + (300 + late) * MINUTE_MS
    result = aggregate(source, HOUR_MS, now_ms)
    covered = sum(b.close_ms - b.open_ms for b in result.bars) + sum(g.close_ms - g.open_ms for g in result.gaps)
    first = source[0].open_ms // HOUR_MS * HOUR_MS
    assert covered == (now_ms // HOUR_MS * HOUR_MS) - first
    assert all(b.close_ms <= now_ms for b in result.bars)


def test_aggregating_in_two_steps_equals_one() -> None:
    now_ms = START_MS + DAY_MS
    source = minutes(1440)
    quarters = aggregate(source, 15 * MINUTE_MS, now_ms).bars
    twice, once = aggregate(quarters, 4 * HOUR_MS, now_ms).bars, aggregate(source, 4 * HOUR_MS, now_ms).bars
    assert len(twice) == 6
    for a, b in zip(twice, once, strict=True):
        assert replace(a, volume=0.0) == replace(b, volume=0.0)  # the sums differ in their last digit only
        assert a.volume == pytest.approx(b.volume)


def test_tail_and_runs_break_at_holes() -> None:
    bars = walk(10, missing=[3, 7])
    assert [len(run) for run in contiguous_runs(bars)] == [3, 3, 2]
    assert list(contiguous_tail(bars)) == bars[-2:]


@pytest.mark.parametrize(("name", "expected"), [("1m", MINUTE_MS), ("15m", 15 * MINUTE_MS), ("4h", 4 * HOUR_MS)])
def test_timeframes_are_read(name: str, expected: int) -> None:
    assert timeframe_ms(name) == expected


@pytest.mark.parametrize("name", ["", "h", "0h", "1x", "1.5h", "-1h", "1h ", "٣h"])
def test_other_timeframes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="timeframe"):
        timeframe_ms(name)


@pytest.mark.parametrize(
    ("field", "value"),
    [("close", float("nan")), ("open", 0.0), ("high", float("inf")), ("low", -1.0), ("volume", -1.0), ("high", 1.0)],
)
def test_a_bad_bar_is_an_error_at_the_boundary(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match="BTC"):
        check_bar(replace(walk(1)[0], **changes))


def test_bars_out_of_order_or_of_mixed_length_are_refused() -> None:
    bars = walk(3)
    with pytest.raises(ValueError, match="open_ms"):
        aggregate([bars[1], bars[0]], HOUR_MS, START_MS + DAY_MS)
    with pytest.raises(ValueError, match="differs"):
        aggregate([bars[0], replace(bars[1], coin="ETH")], HOUR_MS, START_MS + DAY_MS)
    with pytest.raises(ValueError, match="multiple"):
        aggregate(bars, HOUR_MS + MINUTE_MS, START_MS + DAY_MS)
