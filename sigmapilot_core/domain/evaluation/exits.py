"""How trades under our own exits end: the fast form of `consensus.outcome.on_bar` over a record's minutes (spec 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.consensus.outcome import ClosedReason
from sigmapilot_core.domain.evaluation.record import Minutes
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS, OutcomeParams

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
REASONS = (ClosedReason.STOP, ClosedReason.TAKE_PROFIT, ClosedReason.TIMEOUT, ClosedReason.OPPOSITE)
UNRESOLVED = -1
_CHUNKS = (256, 2048, 1 << 30)


@dataclass(frozen=True, slots=True)
class Exits:
    """One row a trade: when it was left, at which gross R, and why (position in `REASONS`).

    A trade that the record does not see ended has a NaN and `UNRESOLVED`.
    """

    closed_ms: Ints
    gross_r: Floats
    reason: Ints


def follow_all(
    minutes: Minutes, coin: Ints, sign: Ints, at_ms: Ints, entry: Floats, stop: Floats, params: OutcomeParams
) -> Exits:
    """Follow trades begun at `at_ms` at price `entry` to stop, take-profit at 2 R or time-out, each over the bars that
    open at or after it; where stop or entry are not known the result is not either."""
    n = len(coin)
    closed, gross, reason = np.zeros(n, dtype=np.int64), np.full(n, np.nan), np.full(n, UNRESOLVED)
    life = round(params.max_hours * HOUR_MS)
    columns = (coin, sign, at_ms, entry, stop)
    for i, (c, s, t, px, f) in enumerate(zip(*(np.asarray(column).tolist() for column in columns), strict=True)):
        if px > 0 and f > 0:
            closed[i], gross[i], reason[i] = _follow(minutes, c, s, t, px, f, t + life, params.take_profit_r)
    return Exits(closed, gross, reason)


def _follow(
    minutes: Minutes, coin: int, sign: int, at_ms: int, entry: float, stop: float, expires_ms: int, take_r: float
) -> tuple[int, float, int]:
    first = minutes.first_from(at_ms)
    last = first + max(0, -(-(expires_ms - minutes.start_ms) // MINUTE_MS) - 1 - first)
    begin, scale = first, entry * stop
    stop_r = sign * (entry * (1 - sign * stop) - entry) / scale
    gain_px = entry * (1 + sign * take_r * stop)
    gain_r = sign * (gain_px - entry) / scale
    for width in _CHUNKS:
        end = min(begin + width, last + 1, len(minutes.open))
        if end <= begin:
            break
        high, low = minutes.high[begin:end, coin], minutes.low[begin:end, coin]
        best, worst = (high, low) if sign > 0 else (low, high)
        is_stopped = sign * (worst - entry) / scale <= stop_r
        is_hit = is_stopped | (sign * (best - entry) / scale >= gain_r)
        where = int(is_hit.argmax())
        if is_hit[where]:
            row = begin + where
            closed = minutes.start_ms + (row + 1) * MINUTE_MS
            if is_stopped[where]:
                at_open = sign * (float(minutes.open[row, coin]) - entry) / scale
                return closed, min(at_open, stop_r), 0
            return closed, gain_r, 1
        begin = end
    if last < len(minutes.open):
        r = sign * (float(minutes.close[last, coin]) - entry) / scale
        return minutes.start_ms + (last + 1) * MINUTE_MS, r, 2
    return 0, np.nan, UNRESOLVED
