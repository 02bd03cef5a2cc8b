"""Closed candles: checked, aggregated to longer timeframes, with every hole named (spec 5.1).

A bar covers [open_ms, close_ms) on the grid of its timeframe. An interval that misses bars gives no bar but a gap:
nothing is carried forward or interpolated.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market.checks import not_negative, positive
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS

_UNIT_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_TIMEFRAME = re.compile(r"([1-9][0-9]{0,3})([mhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch [open_ms, close_ms) with fewer bars than expected; the bars present were not used."""

    coin: str
    open_ms: int
    close_ms: int
    present: int
    expected: int


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Closed bars of the longer timeframe and the stretches for which there is none, both ascending."""

    bars: tuple[Bar, ...]
    gaps: tuple[Gap, ...]


def timeframe_ms(name: str) -> int:
    """Length of a timeframe such as `1m`, `15m`, `1h`, `1d`.

    Errors: ValueError for any other form.
    """
    match = _TIMEFRAME.fullmatch(name)
    if match is None:
        raise ValueError(f"timeframe is {name!r}; allowed is a number and m, h or d, such as 1h.")
    return int(match[1]) * _UNIT_MS[match[2]]


def check_bar(bar: Bar) -> Bar:
    """The bar itself.

    Errors: ValueError unless prices are finite and positive, low <= open, close <= high, volume is not negative, and
    the bar lies on the grid of its own length.
    """
    for name in ("open", "high", "low", "close"):
        positive(f"{name} of bar {bar.coin} {bar.open_ms}", getattr(bar, name))
    not_negative(f"volume of bar {bar.coin} {bar.open_ms}", bar.volume)
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise ValueError(f"high and low of bar {bar.coin} {bar.open_ms} do not enclose its open and close.")
    length = bar.close_ms - bar.open_ms
    if length <= 0 or bar.open_ms % length:
        raise ValueError(f"open_ms of bar {bar.coin} is {bar.open_ms}; allowed is a multiple of its length {length}.")
    return bar


def check_series(bars: Sequence[Bar]) -> Sequence[Bar]:
    """The bars themselves.

    Errors: ValueError for a bad bar, or unless all are of one coin and one length and strictly ascending.
    """
    for bar in bars:
        check_bar(bar)
    for before, bar in itertools.pairwise(bars):
        if bar.coin != before.coin or bar.close_ms - bar.open_ms != before.close_ms - before.open_ms:
            raise ValueError(f"bar {bar.coin} {bar.open_ms} differs in coin or length from the bar before it.")
        if bar.open_ms <= before.open_ms:
            raise ValueError(f"open_ms of bar {bar.coin} is {bar.open_ms}; allowed is more than {before.open_ms}.")
    return bars


def closed_bars(bars: Iterable[Bar], now_ms: int) -> tuple[Bar, ...]:
    """The bars that had closed by `now_ms`."""
    return tuple(bar for bar in bars if bar.close_ms <= now_ms)


def contiguous_tail(bars: Sequence[Bar]) -> Sequence[Bar]:
    """The longest unbroken stretch that ends at the last bar."""
    for index in range(len(bars) - 1, 0, -1):
        if bars[index].open_ms != bars[index - 1].close_ms:
            return bars[index:]
    return bars


def contiguous_runs(bars: Sequence[Bar]) -> Iterator[Sequence[Bar]]:
    """Unbroken stretches, ascending; together they are all bars."""
    start = 0
    for index in range(1, len(bars)):
        if bars[index].open_ms != bars[index - 1].close_ms:
            yield bars[start:index]
            start = index
    if bars:
        yield bars[start:]


def aggregate(bars: Sequence[Bar], target_ms: int, now_ms: int, max_missing: int = 0) -> Aggregation:
    """Bars of `target_ms` from shorter ones, for every interval that had closed by `now_ms`.

    From the interval of the first bar to the last one closed, an interval gives a bar if at most `max_missing` of its
    bars are absent, and a `Gap` otherwise; neighbouring gaps are joined. Bars still open at `now_ms` are not used.
    Errors: ValueError for bad bars, or a target that is not a multiple of their length.
    """
    check_series(bars)
    usable = closed_bars(bars, now_ms)
    if not usable:
        return Aggregation((), ())
    length = usable[0].close_ms - usable[0].open_ms
    if target_ms < length or target_ms % length:
        raise ValueError(f"target_ms is {target_ms}; allowed is a multiple of the bars' length {length}.")
    expected = target_ms // length
    out: list[Bar] = []
    gaps: list[Gap] = []
    for open_ms, members in _intervals(usable, target_ms, now_ms):
        if members and expected - len(members) <= max_missing:
            out.append(_merge(members, open_ms, open_ms + target_ms))
        else:
            _note_gap(gaps, Gap(usable[0].coin, open_ms, open_ms + target_ms, len(members), expected))
    return Aggregation(tuple(out), tuple(gaps))


def _intervals(bars: Sequence[Bar], target_ms: int, now_ms: int) -> Iterator[tuple[int, Sequence[Bar]]]:
    """(open, bars inside) of every closed interval; stretches without any bar come interval by interval."""
    position = 0
    for open_ms in range(bars[0].open_ms // target_ms * target_ms, now_ms - target_ms + 1, target_ms):
        start = position
        while position < len(bars) and bars[position].close_ms <= open_ms + target_ms:
            position += 1
        yield open_ms, bars[start:position]


def _merge(members: Sequence[Bar], open_ms: int, close_ms: int) -> Bar:
    return Bar(
        coin=members[0].coin,
        open_ms=open_ms,
        close_ms=close_ms,
        open=members[0].open,
        high=max(bar.high for bar in members),
        low=min(bar.low for bar in members),
        close=members[-1].close,
        volume=sum(bar.volume for bar in members),
    )


def _note_gap(gaps: list[Gap], gap: Gap) -> None:
    if gaps and gaps[-1].close_ms == gap.open_ms:
        last = gaps[-1]
        gap = replace(
            gap, open_ms=last.open_ms, present=last.present + gap.present, expected=last.expected + gap.expected
        )
        gaps.pop()
    gaps.append(gap)
