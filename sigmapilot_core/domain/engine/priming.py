"""Positions as the venue states them: first priming, rolling comparison, accounts to be primed anew (DESIGN 3).

Trades overtake replies and replies overtake trades. The first statement about an account is taken as it is: waiting
fills up to its instant are contained in it, later ones are applied. A later statement is compared only after
`RECONCILE_DELAY_MS`, when the feed has caught up, with every position the ledger held around its instant.
"""

from __future__ import annotations

from decimal import Decimal

from sigmapilot_core.domain.engine.accounts import Claim, Seat, Trader
from sigmapilot_core.domain.engine.ballots import Ballots
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.engine.core import Core
from sigmapilot_core.domain.engine.events import PositionsPrimed
from sigmapilot_core.domain.engine.followers import Followers
from sigmapilot_core.domain.engine.outputs import GapFound, GapKind, Output, PositionRestated, TraderPrimed
from sigmapilot_core.domain.engine.schedule import Due, Kind
from sigmapilot_core.domain.events import ZERO
from sigmapilot_core.domain.traders import episodes
from sigmapilot_core.domain.venue import Position

RECONCILE_DELAY_MS = 3_000


class Priming:
    """Keeps ledgers in line with what the venue says accounts hold."""

    def __init__(self, core: Core, ballots: Ballots, followers: Followers) -> None:
        self._core = core
        self._ballots = ballots
        self._followers = followers

    def on_primed(self, event: PositionsPrimed, out: list[Output]) -> None:
        """All positions of one account; nothing for an account that is not followed, or for an answer that is older
        than what is known of the account already.
        """
        trader = self._core.traders.get(event.user)
        if trader is None:
            return
        positions = {p.coin: p for p in event.positions if p.coin in self._core.coins}
        if trader.is_primed:
            due_ms = event.received_ms + RECONCILE_DELAY_MS
            trader.claim = Claim(positions, event.as_of_ms, due_ms)
            self._core.schedule.add(Due(due_ms, Kind.RECONCILE, user=trader.address))
        elif event.as_of_ms >= max(trader.lost_until_ms, trader.last_fill_ms):
            self._prime(trader, positions, event.as_of_ms, out)

    def on_due(self, user: str, now_ms: int, out: list[Output]) -> None:
        """The feed has caught up with a statement about an account: compare."""
        trader = self._core.traders.get(user)
        if trader is None or trader.claim is None or trader.claim.due_ms > now_ms or not trader.is_primed:
            return
        claim, trader.claim = trader.claim, None
        for coin in sorted({*claim.positions, *trader.seats}):
            self._compare(trader, self._core.coins[coin], claim, out)
        out.append(TraderPrimed(user, claim.as_of_ms))
        self._followers.forget_if_done(trader)

    def unprime(self, trader: Trader, at_ms: int, out: list[Output]) -> None:
        """Fills of the account may have been missed: nothing of it counts until it is primed again."""
        trader.is_primed, trader.claim = False, None
        for coin, seat in trader.seats.items():
            self._ballots.drop(self._core.coins[coin], seat, at_ms, out)

    def _prime(self, trader: Trader, positions: dict[str, Position], as_of_ms: int, out: list[Output]) -> None:
        trader.primed_ms = as_of_ms
        for coin in sorted({*positions, *trader.seats}):
            stated = positions.get(coin)
            size, entry_px = (ZERO, None) if stated is None else (stated.size, stated.entry_px)
            self._restate(trader, self._core.coins[coin], size, entry_px, as_of_ms, out)
        trader.is_primed = True
        out.append(TraderPrimed(trader.address, as_of_ms))
        waiting = list(trader.waiting)
        trader.waiting.clear()
        for item in waiting:
            state = self._core.coins[item.fill.coin]
            self._followers.take(trader, state, item.fill, item.received_ms, item.seq, out)

    def _compare(self, trader: Trader, state: CoinState, claim: Claim, out: list[Output]) -> None:
        """Hold one coin of an account against the statement; correct the ledger where they disagree."""
        stated = claim.positions.get(state.coin)
        size = stated.size if stated is not None else ZERO
        seat = trader.seat(state.coin)
        if seat.agrees(size, claim.as_of_ms, state.figures.sz_decimals):
            return
        held = seat.position_at(claim.as_of_ms)
        detail = f"ledger held {held}, the venue says {size}"
        out.append(GapFound(GapKind.LEDGER, state.coin, trader.address, seat.trail_from_ms, claim.as_of_ms, detail))
        later = seat.position - held
        entry_px = stated.entry_px if stated is not None and not later else None
        self._restate(trader, state, size + later, entry_px, claim.as_of_ms, out)
        self._ballots.on_position(state, seat, claim.as_of_ms, out)

    def _restate(
        self,
        trader: Trader,
        state: CoinState,
        size: Decimal,
        entry_px: Decimal | None,
        as_of_ms: int,
        out: list[Output],
    ) -> None:
        """Set a seat to a position; `entry_px` is None where it is not known. Equal positions stay as they are."""
        seat = trader.seats.get(state.coin)
        before = None if seat is None else seat.state
        after, done = episodes.on_snapshot(
            before,
            trader.address,
            state.coin,
            size,
            entry_px,
            as_of_ms,
            sz_decimals=state.figures.sz_decimals,
            mark_px=state.mark_near(as_of_ms),
            params=self._core.params.episodes,
        )
        if seat is None:
            seat = trader.seats[state.coin] = Seat(trader.address, state.coin, after, as_of_ms)
        seat.state = after
        seat.restarted(as_of_ms)
        self._followers.note_episodes(seat, done, out)
        if after != before:
            out.append(PositionRestated(seat.user, seat.coin, after, as_of_ms))
