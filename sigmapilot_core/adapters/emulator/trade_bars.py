"""Candles of trades, for sources that have nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sigmapilot_core.domain.events import Bar, Trade


def trade_bars(trades: Iterable[Trade], interval_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
    """Bars that open in [start, end], from trades of one coin in order of time; the last one may be unfinished."""
    rows: dict[int, list[Trade]] = {}
    for trade in trades:
        opened = trade.time_ms // interval_ms * interval_ms
        if start_ms <= opened <= end_ms:
            rows.setdefault(opened, []).append(trade)
    return [_bar(opened, interval_ms, within) for opened, within in rows.items()]


def _bar(opened: int, interval_ms: int, trades: Sequence[Trade]) -> Bar:
    px = [float(t.px) for t in trades]
    volume = sum(float(t.sz) for t in trades)
    return Bar(trades[0].coin, opened, opened + interval_ms, px[0], max(px), min(px), px[-1], volume)
