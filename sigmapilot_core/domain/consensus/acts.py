"""Acts: consecutive fills of one trader and coin in one direction, as a step over fills (spec 2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.params import ConsensusParams

_DEFAULTS = ConsensusParams()


@quick
@dataclass(frozen=True, slots=True)
class Act:
    """One act of one (trader, coin) so far.

    `start_position` is the signed position before its first fill; `size` and `notional` sum its fills, which `fills`
    names by (time_ms, tid). `voted_at_ms` is the exchange time of the first fill with which the act met the rule of a
    vote, None until then.
    """

    is_buy: bool
    started_ms: int
    last_ms: int
    start_position: Decimal
    size: Decimal
    notional: Decimal
    fills: tuple[tuple[int, int], ...]
    voted_at_ms: int | None = None

    @property
    def vwap(self) -> Decimal:
        """Volume-weighted mean price of the act's fills."""
        return self.notional / self.size


def step(act: Act | None, fill: Fill, before: Decimal, after: Decimal, params: ConsensusParams = _DEFAULTS) -> Act:
    """The act the fill belongs to, the fill included; `before` and `after` are the signed positions around it.

    It is a new one after a gap of more than `act_gap_s`, after an opposite fill, or when the act began more than
    `act_max_s` ago, all in exchange time. A fill that arrives late counts as no gap.
    """
    if act is None or not _continues(act, fill, params):
        act = Act(fill.is_buy, fill.time_ms, fill.time_ms, before, fill.sz, fill.notional, ((fill.time_ms, fill.tid),))
    else:
        act = Act(
            is_buy=act.is_buy,
            started_ms=act.started_ms,
            last_ms=max(act.last_ms, fill.time_ms),
            start_position=act.start_position,
            size=act.size + fill.sz,
            notional=act.notional + fill.notional,
            fills=(*act.fills, (fill.time_ms, fill.tid)),
            voted_at_ms=act.voted_at_ms,
        )
    if act.voted_at_ms is None and is_vote(act.start_position, after, act.is_buy, params):
        return _voted(act, fill.time_ms)
    return act


def is_vote(start: Decimal, position: Decimal, is_buy: bool, params: ConsensusParams = _DEFAULTS) -> bool:
    """Whether a position change in one direction opens or flips, or adds at least `min_increase` to the position."""
    if not is_buy:
        start, position = -start, -position
    if position <= 0:
        return False
    return start <= 0 or float(position - start) >= (params.min_increase - params.tolerance) * float(start)


def _continues(act: Act, fill: Fill, params: ConsensusParams) -> bool:
    return (
        act.is_buy == fill.is_buy
        and fill.time_ms - act.last_ms <= params.act_gap_s * 1000
        and fill.time_ms - act.started_ms <= params.act_max_s * 1000
    )


def _voted(act: Act, time_ms: int) -> Act:
    return Act(act.is_buy, act.started_ms, act.last_ms, act.start_position, act.size, act.notional, act.fills, time_ms)
