"""What became of the decisions that passed: stop, take-profit, time-out or an opposite consensus (spec 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigmapilot_core.domain.consensus.outcome import ClosedReason
from sigmapilot_core.domain.evaluation.exits import REASONS, UNRESOLVED, follow_all
from sigmapilot_core.domain.evaluation.record import Minutes
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.params import HOUR_MS, OutcomeParams, RiskParams


@dataclass(frozen=True, slots=True)
class Scored:
    """A decision with its end; `result_r` = gross - cost. None, all of them, while the end is not known."""

    judged: Judged
    closed_ms: int | None
    gross_r: float | None
    result_r: float | None
    reason: ClosedReason | None


def score(minutes: Minutes, judged: Sequence[Judged], params: OutcomeParams) -> list[Scored]:
    """Follow decisions of one kind, in order of time; each that goes the other way ends those before it.

    Decisions without price, stop or cost have no end.
    """
    known = [one for one in judged if one.mid is not None and one.trade_stop is not None and one.cost_r is not None]
    columns = np.array(
        [(one.coin, one.direction.sign, one.decided_at_ms, one.mid, one.trade_stop) for one in known], dtype=float
    ).reshape(-1, 5)
    coin, sign, at_ms = columns[:, :3].astype(np.int64).T
    exits = follow_all(minutes, coin, sign, at_ms, columns[:, 3], columns[:, 4], params)
    ends = {id(one): i for i, one in enumerate(known)}
    turned = _opposites(known)
    out = []
    for one in judged:
        row = ends.get(id(one))
        out.append(
            Scored(one, None, None, None, None)
            if row is None
            else _scored(
                one, int(exits.closed_ms[row]), float(exits.gross_r[row]), int(exits.reason[row]), turned[row], params
            )
        )
    return out


def _opposites(known: Sequence[Judged]) -> list[Judged | None]:
    """For each decision the first later one of its coin in the other direction."""
    after: dict[tuple[int, int], Judged] = {}
    found: list[Judged | None] = []
    for one in reversed(known):
        found.append(after.get((one.coin, -one.direction.sign)))
        after[one.coin, one.direction.sign] = one
    return found[::-1]


def _scored(
    one: Judged, closed_ms: int, gross_r: float, reason: int, opposite: Judged | None, params: OutcomeParams
) -> Scored:
    assert one.mid is not None
    assert one.trade_stop is not None
    assert one.cost_r is not None
    life_ends = one.decided_at_ms + round(params.max_hours * HOUR_MS)
    is_turned = opposite is not None and opposite.decided_at_ms < (closed_ms if reason != UNRESOLVED else life_ends)
    if is_turned and opposite is not None and opposite.mid is not None:
        gross = one.direction.sign * (opposite.mid - one.mid) / (one.mid * one.trade_stop)
        return Scored(one, opposite.decided_at_ms, gross, gross - one.cost_r, ClosedReason.OPPOSITE)
    if reason == UNRESOLVED or math.isnan(gross_r):
        return Scored(one, None, None, None, None)
    return Scored(one, closed_ms, gross_r, gross_r - one.cost_r, REASONS[reason])


def within_limits(scored: Sequence[Scored], risk: RiskParams) -> list[Scored]:
    """Those an account with the portfolio's limits could have taken: one position per asset, `max_positions` in all,
    the cooldown kept; in order of time. Those without a known end hold their place to the end of the record."""
    taken: list[Scored] = []
    ends: dict[int, float] = {}
    last: dict[int, int] = {}
    for one in sorted(scored, key=lambda item: item.judged.decided_at_ms):
        now, coin = one.judged.decided_at_ms, one.judged.coin
        ends = {held: end for held, end in ends.items() if end > now}
        is_cool = now - last.get(coin, -(10**15)) >= risk.cooldown_s * 1000
        if coin in ends or len(ends) >= risk.max_positions or not is_cool:
            continue
        taken.append(one)
        ends[coin] = float("inf") if one.closed_ms is None else one.closed_ms
        last[coin] = now
    return taken
