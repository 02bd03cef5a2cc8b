"""Closed episodes of all traders at once, as columns: the fast form of `traders.history.build_history` (spec 1.3).

Exact for a complete record, in which every position before a fill is the one the fills add up to; a (trader, coin)
for which it is not is left out and counted. Costs are left out too: what is learnt is gross R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.market_view import MarketView
from sigmapilot_core.domain.evaluation.record import UNKNOWN_START, VenueRecord
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS, EpisodeParams
from sigmapilot_core.domain.simulation.ticks import units_per_usd

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NOT_CLOSED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class EpisodeColumns:
    """One row an episode, open ones included (`closed_ms` = `NOT_CLOSED`), by opening.

    `r_unclamped` is gross; NaN where stop or price are unknown, and while open.
    `left_out` counts (trader, coin) pairs with a gap. `known_ms` is since when an episode is known, where that is not
    the same as its closing.
    """

    user: Ints
    coin: Ints
    direction: Ints
    opened_ms: Ints
    closed_ms: Ints
    r_unclamped: Floats
    left_out: int
    known_ms: Ints | None = None

    def known_by(self, time_ms: int) -> NDArray[np.bool_]:
        """Rows that had been heard of or fetched by an instant."""
        return np.ones(self.closed_ms.size, dtype=np.bool_) if self.known_ms is None else self.known_ms <= time_ms

    def closed_before(self, time_ms: int) -> NDArray[np.bool_]:
        """Rows that were known as closed and learnable at an instant."""
        return (self.closed_ms < time_ms) & np.isfinite(self.r_unclamped) & self.known_by(time_ms)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Fills split so that each only increases or only reduces, by (trader, coin) and time."""

    group: Ints
    t: Ints
    px: Ints
    change: Ints
    before: Ints


def episode_columns(record: VenueRecord, market: MarketView, params: EpisodeParams) -> EpisodeColumns:
    """Every episode of every trader of the record."""
    fills, coins = record.fills, len(record.coins)
    group = fills["user"].astype(np.int64) * coins + fills["coin"]
    order = np.argsort(group, kind="stable")
    parts, left_out = _parts(group[order], fills[order])
    return _folded(parts, coins, record, market, params, left_out)


def _parts(group: Ints, fills: NDArray[np.void]) -> tuple[_Parts, int]:
    """Positions before each fill, groups with a gap left out, flips split in two."""
    change = fills["lots"].astype(np.int64)
    is_first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, dtype=np.bool_)
    summed = np.cumsum(change) - change
    first_row = np.maximum.accumulate(np.where(is_first, np.arange(len(group)), 0))
    start = fills["start"]
    opening = np.where(start[first_row] == UNKNOWN_START, 0, start[first_row]) if len(group) else change
    before = opening + summed - summed[first_row]
    is_gap = ((start != UNKNOWN_START) & (start != before)) | (opening != 0)
    gaps = np.unique(group[is_gap])
    kept = ~np.isin(group, gaps)
    group, change, before = group[kept], change[kept], before[kept]
    t, px = fills["t"][kept], fills["px"][kept]
    flips = before * np.sign(change) + np.abs(change) > 0
    flips &= before * np.sign(change) < 0
    row = np.repeat(np.arange(len(group)), 1 + flips)
    is_second = np.r_[False, row[1:] == row[:-1]] if len(row) else np.zeros(0, dtype=np.bool_)
    is_split = flips[row]
    part = np.where(is_split, np.where(is_second, change[row] + before[row], -before[row]), change[row])
    part_before = np.where(is_second, 0, before[row])
    return _Parts(group[row], t[row], px[row], part, part_before), int(gaps.size)


def _folded(
    parts: _Parts, coins: int, record: VenueRecord, market: MarketView, params: EpisodeParams, left_out: int
) -> EpisodeColumns:
    """Sums per flat-to-flat position, cut at the time-out."""
    is_opening = parts.before == 0
    episode = np.cumsum(is_opening) - 1
    first = np.flatnonzero(is_opening)
    n = first.size
    coin, opened = parts.group[first] % coins, parts.t[first]
    sign = np.sign(parts.change[first])
    deadline = opened + round(params.max_episode_hours * HOUR_MS)
    inside = parts.t < deadline[episode]
    after = parts.before + parts.change
    in_notional = _sums(parts.change * parts.px, (parts.change * sign[episode] > 0) & inside, episode, n)
    in_lots = _sums(parts.change, (parts.change * sign[episode] > 0) & inside, episode, n)
    net_notional = _sums(parts.change * parts.px, inside, episode, n)
    left = _sums(parts.change, inside, episode, n)
    size = np.zeros(n, dtype=np.int64)
    np.maximum.at(size, episode, np.where(inside, np.abs(after), 0))
    flat = np.full(n, NOT_CLOSED)
    flat[episode[(after == 0) & inside]] = parts.t[(after == 0) & inside]
    is_overdue = (flat == NOT_CLOSED) & (deadline <= record.end_ms)
    closed = np.where(is_overdue, deadline, flat)
    unit = units_per_usd(np.array(record.sz_decimals))
    mark = _marks(record, coin, deadline, is_overdue) * unit[coin]
    pnl = -net_notional + np.where(is_overdue, left * mark, 0.0)
    stops = market.stops_at(coin, opened)
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = np.abs(in_notional) / np.abs(in_lots) * size * stops
        r = np.where(closed == NOT_CLOSED, np.nan, pnl / risk)
    by_time = np.argsort(opened, kind="stable")
    return EpisodeColumns(
        user=(parts.group[first] // coins)[by_time],
        coin=coin[by_time],
        direction=sign[by_time],
        opened_ms=opened[by_time],
        closed_ms=closed[by_time],
        r_unclamped=r[by_time],
        left_out=left_out,
    )


def _sums(values: Ints, chosen: NDArray[np.bool_], episode: Ints, n: int) -> Floats:
    """Exact integer sums per episode, then as floats."""
    out = np.zeros(n, dtype=np.int64)
    np.add.at(out, episode[chosen], values[chosen])
    return out.astype(np.float64)


def _marks(record: VenueRecord, coin: Ints, time_ms: Ints, wanted: NDArray[np.bool_]) -> Floats:
    """Close of the minute that ended at each instant; NaN outside the record and where not wanted."""
    out = np.full(coin.size, np.nan)
    row = (time_ms - record.minutes.start_ms) // MINUTE_MS - 1
    rows = np.flatnonzero(wanted & (row >= 0) & (row < len(record.minutes.close)))
    out[rows] = record.minutes.close[row[rows], coin[rows]]
    return out
