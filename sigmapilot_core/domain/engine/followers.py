"""Fills of followed traders: matched, deduped, applied to ledger and episodes, handed on to the votes (spec 1.3)."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal

from sigmapilot_core.domain.engine.accounts import Seat, Trader, Waiting
from sigmapilot_core.domain.engine.ballots import Ballots
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.engine.core import Core
from sigmapilot_core.domain.engine.events import FillsReceived, TradesReceived
from sigmapilot_core.domain.engine.outputs import (
    EpisodeClosed,
    EpisodeGap,
    EpisodeOpened,
    FillStored,
    GapFound,
    GapKind,
    LateTrade,
    Output,
)
from sigmapilot_core.domain.engine.schedule import Due, Kind
from sigmapilot_core.domain.engine.seen import SeenKeys
from sigmapilot_core.domain.events import Fill, Trade
from sigmapilot_core.domain.traders import episodes
from sigmapilot_core.domain.traders.episodes import EpisodeOutput


class Followers:
    """Applies what followed traders did. Matching a trade is two look-ups; all else happens for matches only."""

    def __init__(self, core: Core, ballots: Ballots) -> None:
        self._core = core
        self._ballots = ballots

    def on_trades(self, event: TradesReceived, out: list[Output]) -> None:
        """Trades of one frame, in order."""
        coins, traders = self._core.coins, self._core.traders
        name: str | None = None
        state: CoinState | None = None
        touched: dict[str, CoinState] = {}
        for trade in event.trades:
            if trade.coin != name:
                name = trade.coin
                state = coins.get(name)
                if state is not None:
                    touched[name] = state
            if state is None:
                self._core.counters.unknown_coin += 1
                continue
            if trade.time_ms > state.watermark_ms:
                state.watermark_ms = trade.time_ms
            buyer, seller = traders.get(trade.buyer), traders.get(trade.seller)
            if buyer is not None or seller is not None:
                self._match(state, trade, buyer, seller, event, out)
        for state in touched.values():
            self._heard(state, event)
            self._ballots.expire(state, out)

    def on_fills(self, event: FillsReceived, out: list[Output]) -> None:
        """Fills from accounts' own channels; a trade that came through the public feed before is not applied twice."""
        touched: dict[str, CoinState] = {}
        for fill in event.fills:
            state, trader = self._core.coins.get(fill.coin), self._core.traders.get(fill.user)
            if state is None:
                self._core.counters.unknown_coin += 1
            elif trader is not None and self._is_new_half(state, fill, out):
                touched[fill.coin] = state
                state.watermark_ms = max(state.watermark_ms, fill.time_ms)
                self.take(trader, state, fill, event.received_ms, event.seq, out)
        for state in touched.values():
            self._ballots.expire(state, out)

    def take(self, trader: Trader, state: CoinState, fill: Fill, received_ms: int, seq: int, out: list[Output]) -> None:
        """One fill of a followed trader that was not seen before: kept until he is primed, else applied."""
        if not trader.is_primed:
            self._core.counters.waiting += 1
            trader.wait(Waiting(fill, received_ms, seq))
            return
        seat = trader.seat(state.coin)
        if fill.time_ms <= seat.since_ms:
            self._core.counters.before_prime += 1
            return
        self._apply(trader, seat, state, fill, received_ms, seq, out)

    def note_episodes(self, seat: Seat, done: EpisodeOutput, out: list[Output]) -> None:
        """Say what happened to the episodes of a seat, and ask for the time-out of a new one."""
        out.extend(EpisodeClosed(episode) for episode in done.closed)
        opened = seat.state.open
        if done.is_gap:
            out.append(EpisodeGap(seat.user, seat.coin, opened.id if opened is not None else None))
        if done.opened is not None:
            out.append(EpisodeOpened(done.opened))
            self.schedule_timeout(seat)

    def schedule_timeout(self, seat: Seat) -> None:
        """Ask for a timer when the open episode of a seat is overdue."""
        opened = seat.state.open
        if opened is not None:
            due_ms = episodes.deadline_ms(opened, self._core.params.episodes)
            self._core.schedule.add(Due(due_ms, Kind.EPISODE, seat.coin, seat.user))

    def forget_if_done(self, trader: Trader) -> None:
        """A trader who left the followed set goes when his last episode has ended."""
        if trader.is_leaving and not trader.has_open_episode:
            self._core.traders.pop(trader.address, None)

    def _match(
        self,
        state: CoinState,
        trade: Trade,
        buyer: Trader | None,
        seller: Trader | None,
        event: TradesReceived,
        out: list[Output],
    ) -> None:
        """Both halves of a trade with a followed trader in it, the buyer's first; one with oneself moves nothing."""
        if buyer is seller or not self._is_usable(state, trade.px, trade.sz, trade.time_ms, trade.tid, out):
            return
        news = None if event.is_history else out
        if not self._is_new(state, state.seen, (trade.time_ms, trade.tid), trade, news):
            return
        for trader, is_buy in ((buyer, True), (seller, False)):
            if trader is None or (trader.address, trade.time_ms, trade.tid, is_buy) in state.halves:
                continue
            fill = Fill(
                trader.address,
                trade.coin,
                is_buy,
                trade.px,
                trade.sz,
                trade.time_ms,
                trade.tid,
                trade.aggressor_is_buyer == is_buy,
                trade.hash,
                known_since_ms=event.received_ms,
            )
            self.take(trader, state, fill, event.received_ms, event.seq, out)

    def _is_new_half(self, state: CoinState, fill: Fill, out: list[Output]) -> bool:
        if not self._is_usable(state, fill.px, fill.sz, fill.time_ms, fill.tid, out):
            return False
        if (fill.time_ms, fill.tid) in state.seen:
            self._core.counters.duplicate += 1
            return False
        return self._is_new(state, state.halves, (fill.user, fill.time_ms, fill.tid, fill.is_buy), fill, out)

    def _is_new(
        self, state: CoinState, seen: SeenKeys, key: Hashable, one: Trade | Fill, out: list[Output] | None
    ) -> bool:
        """Whether a trade or half was not applied yet. One too old to know is not applied; `out` is None where that is
        no news, because history reaches back as far as a coin is quiet.
        """
        if key in seen:
            self._core.counters.duplicate += 1
            return False
        if seen.is_forgotten(one.time_ms):
            self._core.counters.late += 1
            if out is not None:
                out.append(LateTrade(state.coin, one.time_ms, one.tid, seen.newest_ms))
            return False
        return seen.add(key, one.time_ms)

    def _is_usable(self, state: CoinState, px: Decimal, sz: Decimal, time_ms: int, tid: int, out: list[Output]) -> bool:
        """Whether a trade has a price and a size; if not, the record of its coin is incomplete."""
        if px.is_finite() and sz.is_finite() and px > 0 and sz > 0:
            return True
        self._core.counters.bad += 1
        state.unknown_reason = f"trade {tid} at {time_ms} has px={px} and sz={sz}"
        out.append(GapFound(GapKind.BAD_TRADE, state.coin, None, time_ms, time_ms, state.unknown_reason))
        return False

    def _apply(
        self,
        trader: Trader,
        seat: Seat,
        state: CoinState,
        fill: Fill,
        received_ms: int,
        seq: int,
        out: list[Output],
    ) -> None:
        core = self._core
        seat.state, done = episodes.on_fill(
            seat.state,
            fill,
            sz_decimals=state.figures.sz_decimals,
            stop_fraction=state.episode_stop,
            mark_at=lambda _coin, time_ms: state.mark_near(time_ms),
            params=core.params.episodes,
        )
        change = done.change
        assert change is not None
        core.counters.fills += 1
        seat.moved(fill.time_ms, change.after)
        out.append(
            FillStored(
                fill, change.action, change.after, change.realised, done.episode_id, seat.state, received_ms, seq
            )
        )
        if done.closed or done.opened is not None or done.is_gap:
            self.note_episodes(seat, done, out)
        if done.is_gap:
            detail = f"position was {change.ledger_before} in the ledger and {change.before} at the fill"
            out.append(GapFound(GapKind.LEDGER, seat.coin, seat.user, fill.time_ms, fill.time_ms, detail))
        if trader.member is not None and state.is_votable:
            self._ballots.on_fill(state, seat, fill, change, out)
        if trader.is_leaving:
            self.forget_if_done(trader)

    def _heard(self, state: CoinState, event: TradesReceived) -> None:
        """The connection lives; where no book says so, live trades show the venue's clock."""
        state.connection.heard(event.received_ms)
        if not state.is_book_subscribed and not event.is_history:
            state.clock_offset_ms = event.received_ms - event.trades[-1].time_ms
