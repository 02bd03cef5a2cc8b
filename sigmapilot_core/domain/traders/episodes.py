"""Episodes as a step over fills, marks, snapshots and funding, on top of the ledger (spec 1.3).

One state per (trader, coin). A fill may first end an overdue episode at the mark, then close, then open one. After a
time-out the rest of that position is ignored until it is flat or flips.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Direction, Fill, Source
from sigmapilot_core.domain.frozen import changed, quick
from sigmapilot_core.domain.params import HOUR_MS, EpisodeParams
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.episode import ClosedReason, Episode, OpenEpisode, close, episode_id
from sigmapilot_core.domain.traders.ledger import LedgerChange, LedgerState
from sigmapilot_core.domain.venue import FundingPayment

MarkAt = Callable[[str, int], Decimal | None]
"""(coin, time_ms) -> mark price at that instant, None where unknown."""
StopAt = Callable[[str, int], float | None]
"""(coin, time_ms) -> stop fraction in force, without the regime factor, None where unknown."""

_BPS = Decimal(10_000)
_FEE_QUANTUM = Decimal("1e-12")
_DEFAULTS = EpisodeParams()


@quick
@dataclass(frozen=True, slots=True)
class EpisodeState:
    """Ledger and open episode of one (trader, coin); `is_ignored` after a time-out until the position is flat."""

    ledger: LedgerState
    open: OpenEpisode | None = None
    is_ignored: bool = False


@quick
@dataclass(frozen=True, slots=True)
class EpisodeOutput:
    """What one event did. `closed` in order of closing; `opened` is the episode this event began, if any.

    `change` is the ledger's view of a fill, None for other events. `episode_id` names the episode the fill belongs
    to (of a flip: the new one), None while the position is ignored. `is_gap` says that missed fills were detected.
    """

    closed: tuple[Episode, ...] = ()
    opened: OpenEpisode | None = None
    change: LedgerChange | None = None
    episode_id: str | None = None
    is_gap: bool = False


def on_fill(
    state: EpisodeState | None,
    fill: Fill,
    *,
    sz_decimals: int,
    stop_fraction: float | None,
    mark_at: MarkAt | None = None,
    params: EpisodeParams = _DEFAULTS,
) -> tuple[EpisodeState, EpisodeOutput]:
    """Apply one fill. `stop_fraction` is the one in force at the fill; it is used only if an episode opens.

    `mark_at` is asked only when the open episode has outlived `max_episode_hours` and no timer closed it before;
    without a mark its PnL is unknown. Errors: those of `ledger.step`.
    """
    closed: list[Episode] = []
    if state is not None:
        state, closed = _expire(state, fill.time_ms, mark_at, params)
    before = state.ledger if state is not None else None
    after, change = ledger.step(before, fill, sz_decimals)
    episode, is_ignored = (None, False) if state is None else (state.open, state.is_ignored)
    if change.before != change.ledger_before or change.is_late or before is None:
        episode, is_ignored, ended = _corrected(episode, is_ignored, after, change, fill, stop_fraction, params)
        closed += ended
    known = episode
    closing_fee, opening_fee, is_estimated = _fees(fill, change, params)
    if change.closed and episode is not None:
        episode = _reduced(episode, fill, change, closing_fee, is_estimated)
        if not change.after or change.opened:
            closed.append(close(episode, fill.time_ms, _reason(fill, change), params))
            episode = None
    if not change.after or (change.closed and change.opened):
        is_ignored = False
    opened: OpenEpisode | None = None
    if change.opened and episode is not None:
        episode = _increased(episode, fill, change, opening_fee, is_estimated)
    elif change.opened and not is_ignored:
        opened = _opened(fill, after, change, stop_fraction, opening_fee, is_estimated)
        episode = opened
    named = episode or known
    output = EpisodeOutput(tuple(closed), opened, change, named.id if named is not None else None, change.is_gap)
    return EpisodeState(after, episode, is_ignored), output


def on_mark(
    state: EpisodeState, time_ms: int, mark_px: Decimal | None, params: EpisodeParams = _DEFAULTS
) -> tuple[EpisodeState, EpisodeOutput]:
    """A timer at `time_ms`: closes the open episode if it is overdue, at the given mark (spec: `timeout`)."""
    after, closed = _expire(state, time_ms, lambda _coin, _time_ms: mark_px, params)
    return after, EpisodeOutput(closed=tuple(closed))


def on_snapshot(
    state: EpisodeState | None,
    user: str,
    coin: str,
    position: Decimal,
    entry_px: Decimal | None,
    time_ms: int,
    *,
    sz_decimals: int,
    mark_px: Decimal | None = None,
    is_liquidation: bool = False,
    params: EpisodeParams = _DEFAULTS,
) -> tuple[EpisodeState, EpisodeOutput]:
    """Prime an unknown account, or compare a known one with the venue's account state.

    Equal within a lot: the ledger becomes anchored. A position that vanished or turned ends the episode as
    `reconciled` (`liquidation` if the venue said so), its rest at the mark, else with unknown PnL. Any other
    difference re-bases the ledger and marks the episode. A position met this way is first seen mid-life.
    """
    if state is None:
        primed = ledger.prime(user, coin, position, entry_px, time_ms)
        opened = _met(primed, time_ms, None, is_gap=False) if position else None
        return EpisodeState(primed, opened), EpisodeOutput(opened=opened, episode_id=opened.id if opened else None)
    if ledger.is_same_position(position, state.ledger.position, sz_decimals) and bool(position) == bool(
        state.ledger.position
    ):
        return replace(state, ledger=replace(state.ledger, is_anchored=True)), EpisodeOutput()
    return _reconciled(state, position, entry_px, time_ms, mark_px, is_liquidation, params)


def on_funding(state: EpisodeState, payment: FundingPayment) -> tuple[EpisodeState, EpisodeOutput]:
    """Add a funding payment to the open episode; one that is not younger than its opening was for another, and is left.

    At one instant funding comes before fills, as in `build_history`.
    """
    episode = state.open
    if episode is None or payment.time_ms <= episode.opened_at_ms:
        return state, EpisodeOutput()
    funding = (ZERO if episode.funding is None else episode.funding) + payment.usdc
    return replace(state, open=replace(episode, funding=funding)), EpisodeOutput(episode_id=episode.id)


def deadline_ms(episode: OpenEpisode, params: EpisodeParams = _DEFAULTS) -> int:
    """When the episode times out: opening + `max_episode_hours`."""
    return episode.opened_at_ms + round(params.max_episode_hours * HOUR_MS)


def estimated_fee(fill: Fill, params: EpisodeParams = _DEFAULTS) -> Decimal:
    """Fee of a fill at the base tier, for feeds that do not carry it."""
    bps = params.estimated_fee_bps if fill.crossed else params.estimated_maker_fee_bps
    return fill.notional * _exact(bps) / _BPS


def _expire(
    state: EpisodeState, time_ms: int, mark_at: MarkAt | None, params: EpisodeParams
) -> tuple[EpisodeState, list[Episode]]:
    """Close an overdue episode at the mark of its deadline and ignore the rest of the position."""
    episode = state.open
    if episode is None or time_ms < deadline_ms(episode, params):
        return state, []
    due = deadline_ms(episode, params)
    mark = mark_at(state.ledger.coin, due) if mark_at is not None else None
    ended = close(_marked(episode, state.ledger, mark), due, ClosedReason.TIMEOUT, params)
    return EpisodeState(state.ledger, None, is_ignored=True), [ended]


def _marked(episode: OpenEpisode, held: LedgerState, mark: Decimal | None) -> OpenEpisode:
    """The episode with what is left of its position valued at the mark; its PnL is unknown without one."""
    if mark is None:
        return replace(episode, realised=None)
    left = abs(held.position)
    unknown = held.cost is None or episode.realised is None
    return replace(
        episode,
        exit_size=episode.exit_size + left,
        exit_notional=episode.exit_notional + left * mark,
        realised=None if unknown else episode.realised + held.position * mark - held.cost,  # type: ignore[operator]
    )


def _corrected(
    episode: OpenEpisode | None,
    is_ignored: bool,
    after: LedgerState,
    change: LedgerChange,
    fill: Fill,
    stop_fraction: float | None,
    params: EpisodeParams,
) -> tuple[OpenEpisode | None, bool, list[Episode]]:
    """Bring the episode in line with a position that is not the one the ledger held before the fill."""
    closed: list[Episode] = []
    direction = Direction.of(change.before)
    if episode is not None and episode.direction is not direction:
        gone = replace(episode, is_gap=True, realised=None)
        closed.append(close(gone, fill.time_ms, ClosedReason.RECONCILED, params))
        episode = None
    if episode is not None and change.is_gap:
        episode = replace(episode, is_gap=True, entry_notional=None, size=max(episode.size, abs(change.before)))
    if episode is not None and change.is_late:
        episode = replace(episode, is_gap=True)
    is_ignored = is_ignored and Direction.of(change.ledger_before) is direction
    if episode is None and change.before and not is_ignored:
        episode = _mid_life(fill, change, stop_fraction, is_gap=change.is_gap)
    return episode, is_ignored, closed


def _mid_life(fill: Fill, change: LedgerChange, stop_fraction: float | None, is_gap: bool) -> OpenEpisode:
    """An episode met in the middle through a fill's start position: its entry is unknown."""
    return OpenEpisode(
        id=episode_id(fill.user, fill.coin, fill.time_ms, f"met-{fill.tid}"),
        user=fill.user,
        coin=fill.coin,
        direction=Direction.of(change.before),
        opened_at_ms=fill.time_ms,
        stop_fraction=stop_fraction,
        size=abs(change.before),
        entry_size=abs(change.before),
        entry_notional=None,
        is_gap=is_gap,
        first_seen_mid_life=True,
        source=fill.source,
        known_since_ms=fill.known_since_ms,
    )


def _met(held: LedgerState, time_ms: int, stop_fraction: float | None, is_gap: bool) -> OpenEpisode:
    """An episode met in the middle through a snapshot; the snapshot's entry price stands for its entry fills."""
    return OpenEpisode(
        id=episode_id(held.user, held.coin, time_ms, "snapshot"),
        user=held.user,
        coin=held.coin,
        direction=Direction.of(held.position),
        opened_at_ms=time_ms,
        stop_fraction=stop_fraction,
        size=abs(held.position),
        entry_size=abs(held.position),
        entry_notional=None if held.cost is None else abs(held.cost),
        is_gap=is_gap,
        first_seen_mid_life=True,
    )


def _opened(
    fill: Fill, after: LedgerState, change: LedgerChange, stop_fraction: float | None, fee: Decimal, is_estimated: bool
) -> OpenEpisode:
    """A new episode; unless the ledger is anchored nobody knows whether the trader was flat before."""
    return OpenEpisode(
        id=episode_id(fill.user, fill.coin, fill.time_ms, str(fill.tid)),
        user=fill.user,
        coin=fill.coin,
        direction=Direction.of(change.after),
        opened_at_ms=fill.time_ms,
        stop_fraction=stop_fraction,
        size=abs(change.after),
        entry_size=change.opened,
        entry_notional=change.opened * fill.px,
        fees=fee,
        fees_estimated=is_estimated,
        entry_fill_count=1,
        first_seen_mid_life=not after.is_anchored,
        is_gap=change.is_late,
        source=fill.source,
        known_since_ms=fill.known_since_ms,
    )


def _increased(episode: OpenEpisode, fill: Fill, change: LedgerChange, fee: Decimal, is_estimated: bool) -> OpenEpisode:
    notional = episode.entry_notional
    reached = abs(change.after)
    return changed(
        episode,
        size=episode.size if episode.size >= reached else reached,
        entry_size=episode.entry_size + change.opened,
        entry_notional=None if notional is None else notional + change.opened * fill.px,
        fees=episode.fees + fee,
        fees_estimated=episode.fees_estimated or is_estimated,
        entry_fill_count=episode.entry_fill_count + 1,
        add_count=episode.add_count + 1,
        source=_source(episode.source, fill.source),
        known_since_ms=_latest(episode.known_since_ms, fill.known_since_ms),
    )


def _reduced(episode: OpenEpisode, fill: Fill, change: LedgerChange, fee: Decimal, is_estimated: bool) -> OpenEpisode:
    unknown = episode.realised is None or change.realised is None
    return changed(
        episode,
        exit_size=episode.exit_size + change.closed,
        exit_notional=episode.exit_notional + change.closed * fill.px,
        realised=None if unknown else episode.realised + change.realised,  # type: ignore[operator]
        fees=episode.fees + fee,
        fees_estimated=episode.fees_estimated or is_estimated,
        exit_fill_count=episode.exit_fill_count + 1,
        source=_source(episode.source, fill.source),
        known_since_ms=_latest(episode.known_since_ms, fill.known_since_ms),
    )


def _reconciled(
    state: EpisodeState,
    position: Decimal,
    entry_px: Decimal | None,
    time_ms: int,
    mark_px: Decimal | None,
    is_liquidation: bool,
    params: EpisodeParams,
) -> tuple[EpisodeState, EpisodeOutput]:
    """The state after a snapshot that contradicts the ledger."""
    held, episode = state.ledger, state.open
    rebased = ledger.rebase(held, position, entry_px, time_ms)
    is_same_side = Direction.of(held.position) is Direction.of(position)
    if is_same_side:
        if episode is not None:
            size = max(episode.size, abs(position))
            episode = replace(episode, is_gap=True, entry_notional=None, size=size)
        return EpisodeState(rebased, episode, state.is_ignored), EpisodeOutput(is_gap=True)
    closed: tuple[Episode, ...] = ()
    if episode is not None:
        reason = ClosedReason.LIQUIDATION if is_liquidation else ClosedReason.RECONCILED
        closed = (close(replace(_marked(episode, held, mark_px), is_gap=True), time_ms, reason, params),)
    opened = _met(rebased, time_ms, None, is_gap=True) if position else None
    output = EpisodeOutput(closed, opened, None, opened.id if opened else None, is_gap=True)
    return EpisodeState(rebased, opened), output


def _fees(fill: Fill, change: LedgerChange, params: EpisodeParams) -> tuple[Decimal, Decimal, bool]:
    """(fee of the closing part, fee of the opening part, estimated?), shared by size; the parts sum to the whole."""
    if fill.fee is not None:
        fee, is_estimated = fill.fee, False
    else:
        fee, is_estimated = estimated_fee(fill, params), True
    if not change.closed:
        return ZERO, fee, is_estimated
    if not change.opened:
        return fee, ZERO, is_estimated
    closing = (fee * change.closed / fill.sz).quantize(_FEE_QUANTUM)
    return closing, fee - closing, is_estimated


@functools.lru_cache(maxsize=64)
def _exact(bps: float) -> Decimal:
    return Decimal(str(bps))


def _reason(fill: Fill, change: LedgerChange) -> ClosedReason:
    if change.opened:
        return ClosedReason.DIRECTION_FLIP
    return ClosedReason.LIQUIDATION if fill.is_liquidation else ClosedReason.FULL_CLOSE


def _source(a: Source, b: Source) -> Source:
    """Backfilled as soon as one fill is: the rest was then chosen with hindsight too."""
    return Source.BACKFILL if a is Source.BACKFILL or b is Source.BACKFILL else Source.LIVE


def _latest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)
