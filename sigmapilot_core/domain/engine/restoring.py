"""Going on after a restart: states, votes and dedupe from what was stored (DESIGN 2.6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigmapilot_core.domain.consensus import votes
from sigmapilot_core.domain.consensus.outcome import Followed
from sigmapilot_core.domain.engine.accounts import Seat, Trader
from sigmapilot_core.domain.engine.core import Core
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import ConsensusParams
from sigmapilot_core.domain.traders.episodes import EpisodeState


@dataclass(frozen=True, slots=True)
class Restored:
    """What `Engine.restore` was given."""

    states: dict[tuple[str, str], EpisodeState] = field(default_factory=dict)
    primed: dict[str, int] = field(default_factory=dict)
    recent_fills: tuple[Fill, ...] = ()
    last_keys: dict[str, str] = field(default_factory=dict)
    followed: tuple[Followed, ...] = ()
    signal_times_ms: dict[str, int] = field(default_factory=dict)


def seat_traders(core: Core, restored: Restored) -> None:
    """Traders with the states they had. An account counts as primed only if it was."""
    for (user, coin), state in restored.states.items():
        if coin not in core.coins:
            continue
        trader = core.traders.setdefault(user, Trader(user))
        seat = Seat(user, coin, state, restored.primed.get(user, 0))
        seat.trail_base, seat.trail_from_ms = seat.position, state.ledger.time_ms
        trader.seats[coin] = seat
    for user, as_of_ms in restored.primed.items():
        trader = core.traders.setdefault(user, Trader(user))
        trader.is_primed, trader.primed_ms = True, as_of_ms


def recall(core: Core, restored: Restored) -> None:
    """Keys of applied trades, last decisions, followed decisions, cooldowns."""
    for fill in restored.recent_fills:
        state = core.coins.get(fill.coin)
        if state is None:
            continue
        state.watermark_ms = max(state.watermark_ms, fill.time_ms)
        if fill.start_position is None:
            state.seen.add((fill.time_ms, fill.tid), fill.time_ms)
        else:  # through the account's own channel: the trade itself, with its other half, may still come
            state.halves.add((fill.user, fill.time_ms, fill.tid, fill.is_buy), fill.time_ms)
    for coin, key in restored.last_keys.items():
        if coin in core.coins:
            core.coins[coin].last_key = key
    for followed in restored.followed:
        if followed.coin in core.coins:
            core.coins[followed.coin].followed.append(followed)
    for coin, at_ms in restored.signal_times_ms.items():
        if coin in core.coins:
            core.coins[coin].last_signal_ms = at_ms


def recast(core: Core, restored: Restored, params: ConsensusParams) -> list[Seat]:
    """Acts and votes of pool members from their recent fills; the seats that hold a vote.

    Positions around each fill are counted back from the position that was stored.
    """
    by_seat: dict[tuple[str, str], list[Fill]] = {}
    for fill in restored.recent_fills:
        by_seat.setdefault((fill.user, fill.coin), []).append(fill)
    seats = []
    for (user, coin), fills in by_seat.items():
        trader = core.traders.get(user)
        if trader is None or trader.member is None or coin not in trader.seats or not core.coins[coin].is_votable:
            continue
        seat = trader.seats[coin]
        position = seat.position - sum(fill.signed_size for fill in fills)
        for fill in fills:
            after = position + fill.signed_size
            seat.votes, _ = votes.on_fill(seat.votes, fill, position, after, params)
            position = after
        if seat.votes.vote is not None:
            seats.append(seat)
    return seats
