"""The engine: one deterministic state machine over journalled events, driven by stream, replay and tests alike.

`apply` takes one event and returns what happened, in order. There is no clock, no I/O and no randomness: the same
events give the same outputs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from sigmapilot_core.domain.consensus.outcome import Followed
from sigmapilot_core.domain.engine import restoring
from sigmapilot_core.domain.engine.accounts import Trader
from sigmapilot_core.domain.engine.activation import Activation
from sigmapilot_core.domain.engine.ballots import Ballots
from sigmapilot_core.domain.engine.coin import CoinState, Connection
from sigmapilot_core.domain.engine.core import Core, Counters
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BarClosed,
    BookUpdated,
    CoinReconciled,
    ContextUpdated,
    Event,
    FeedStatus,
    FillsReceived,
    GapReported,
    PositionsPrimed,
    SnapshotActivated,
    TimerFired,
    TradesReceived,
)
from sigmapilot_core.domain.engine.followers import Followers
from sigmapilot_core.domain.engine.outputs import GapFound, GapKind, NextTimer, Output, PositionRestated
from sigmapilot_core.domain.engine.priming import Priming
from sigmapilot_core.domain.engine.schedule import Due, Kind
from sigmapilot_core.domain.events import Book, Fill
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.domain.traders import episodes
from sigmapilot_core.domain.traders.episodes import EpisodeState


class Engine:
    """Everything between a frame of the venue and a decision, for the coins of one partition.

    `partition` names the journal and is part of each decision's trigger id; `coins` limits the engine to a share of
    the coins, None for all.
    """

    def __init__(self, partition: str, coins: Container[str] | None = None) -> None:
        self._core = Core(partition, coins)
        self._ballots = Ballots(self._core)
        self._followers = Followers(self._core, self._ballots)
        self._priming = Priming(self._core, self._ballots, self._followers)
        self._activation = Activation(self._core, self._ballots, self._followers)
        self._asked_ms: int | None = None

    def apply(self, event: Event) -> list[Output]:
        """Apply one event. Errors: ValueError for an event that contradicts itself; the state is then unchanged for
        every kind of event but trades and fills, whose coin must be marked unknown.
        """
        out: list[Output] = []
        if isinstance(event, BookUpdated):  # the most frequent, and nothing follows from it
            self._on_book(event.book)
            return out
        if isinstance(event, TradesReceived):
            self._on_trades(event, out)
        else:
            self._dispatch(event, out)
        self._ballots.evaluate(event.now_ms, event.seq, out)
        next_ms = self._core.schedule.next_ms()
        if next_ms != self._asked_ms:
            self._asked_ms = next_ms
            out.append(NextTimer(next_ms))
        return out

    def become(self, other: Engine) -> None:
        """Take over the whole state of another engine, which must not be used any more."""
        self.__dict__ = other.__dict__

    def mark_unknown(self, coin: str, reason: str) -> None:
        """The record of the coin may be incomplete: no decision on it passes until `CoinReconciled`."""
        state = self._core.coins.get(coin)
        if state is not None:
            state.unknown_reason = reason

    def restore(
        self,
        states: Mapping[tuple[str, str], EpisodeState],
        primed: Mapping[str, int],
        recent_fills: Iterable[Fill] = (),
        last_keys: Mapping[str, str] | None = None,
        followed: Iterable[Followed] = (),
        signal_times_ms: Mapping[str, int] | None = None,
    ) -> None:
        """What Postgres holds, before the first event. Takes effect when the first snapshot is activated.

        `states` by (user, coin); `primed` maps each account that was primed to the instant of its positions;
        `recent_fills` are the applied fills of the last 20 minutes in consumed order: votes and dedupe are rebuilt
        from them. `last_keys` are the keys of the last decisions by coin, `followed` decisions without an end.
        """
        self._activation.restored = restoring.Restored(
            states=dict(states),
            primed=dict(primed),
            recent_fills=tuple(recent_fills),
            last_keys=dict(last_keys or {}),
            followed=tuple(followed),
            signal_times_ms=dict(signal_times_ms or {}),
        )

    @property
    def counters(self) -> Counters:
        """What was left out, for metrics."""
        return self._core.counters

    @property
    def snapshot(self) -> ModelSnapshot | None:
        """The model in force; None before the first."""
        return None if self._core.model is None else self._core.model.snapshot

    @property
    def risk(self) -> RiskState | None:
        """The governor's state as it was last told; None before the first time."""
        return self._core.risk

    @property
    def coins(self) -> Mapping[str, CoinState]:
        """State by coin, to be read only."""
        return self._core.coins

    @property
    def traders(self) -> Mapping[str, Trader]:
        """Followed traders by address, to be read only."""
        return self._core.traders

    @property
    def unprimed(self) -> list[str]:
        """Accounts that wait for their positions; pool members first, as only they vote."""
        waiting = [trader for trader in self._core.traders.values() if not trader.is_primed]
        return [t.address for t in sorted(waiting, key=lambda trader: (trader.member is None, trader.address))]

    def state_of(self, user: str, coin: str) -> EpisodeState | None:
        """Ledger and open episode of one (user, coin)."""
        trader = self._core.traders.get(user)
        seat = None if trader is None else trader.seats.get(coin)
        return None if seat is None else seat.state

    def _on_trades(self, event: TradesReceived, out: list[Output]) -> None:
        if self._core.model is None:
            self._core.counters.before_snapshot += len(event.trades)
            return
        self._followers.on_trades(event, out)

    def _on_book(self, book: Book) -> None:
        if (state := self._core.coins.get(book.coin)) is not None:
            state.on_book(book)

    def _dispatch(self, event: Event, out: list[Output]) -> None:
        match event:
            case ContextUpdated(context=context):
                if (state := self._core.coins.get(context.coin)) is not None:
                    state.on_context(context, event.received_ms)
            case FillsReceived():
                self._followers.on_fills(event, out)
            case PositionsPrimed():
                self._priming.on_primed(event, out)
            case BarClosed(bar=bar):
                if (state := self._core.coins.get(bar.coin)) is not None:
                    self._ballots.on_bar(state, bar, out)
            case SnapshotActivated(snapshot=snapshot):
                self._activation.activate(snapshot, event.received_ms, out)
            case TimerFired():
                self._on_timer(event.deadline_ms, out)
            case AccountUpdated():
                self._on_account(event)
            case FeedStatus():
                self._on_feed(event)
            case GapReported():
                self._on_gap(event, out)
            case CoinReconciled(coin=coin):
                if (state := self._core.coins.get(coin)) is not None:
                    state.unknown_reason = None

    def _on_timer(self, deadline_ms: int, out: list[Output]) -> None:
        for due in self._core.schedule.pop_due(deadline_ms):
            match due.kind:
                case Kind.VOTES:
                    state = self._core.coins[due.coin]
                    state.watermark_ms = max(state.watermark_ms, due.at_ms)
                    self._ballots.expire(state, out)
                case Kind.EPISODE:
                    self._on_overdue(due, out)
                case Kind.RECONCILE:
                    self._priming.on_due(due.user, deadline_ms, out)

    def _on_overdue(self, due: Due, out: list[Output]) -> None:
        """An episode may have outlived its time: it ends at the mark of its deadline."""
        trader, state = self._core.traders.get(due.user), self._core.coins[due.coin]
        seat = None if trader is None else trader.seats.get(due.coin)
        if trader is None or seat is None:
            return
        before = seat.state
        mark = state.mark_near(due.at_ms)
        seat.state, done = episodes.on_mark(before, due.at_ms, mark, self._core.params.episodes)
        if seat.state is not before:
            self._followers.note_episodes(seat, done, out)
            out.append(PositionRestated(seat.user, seat.coin, seat.state, due.at_ms))
            self._followers.forget_if_done(trader)

    def _on_account(self, event: AccountUpdated) -> None:
        """The governor's state; a signal it has not heard of yet keeps its cooldown."""
        own = {c: s.last_signal_ms for c, s in self._core.coins.items() if s.last_signal_ms is not None}
        told = event.risk.signal_times_ms
        merged = {coin: max(own.get(coin, 0), told.get(coin, 0)) for coin in sorted({*own, *told})}
        self._core.risk = replace(event.risk, signal_times_ms=merged)

    def _on_feed(self, event: FeedStatus) -> None:
        connection = self._core.connections.setdefault(event.connection, Connection())
        if event.last_frame_ms is not None:
            connection.heard(event.last_frame_ms)
        books = frozenset(event.book_coins)
        for coin in event.coins:
            state = self._core.coins.get(coin)
            if state is not None:
                state.connection = connection
                state.is_heard = True
                state.is_book_subscribed = coin in books
        for coin in event.unheard:
            if (state := self._core.coins.get(coin)) is not None:
                state.is_heard = False

    def _on_gap(self, event: GapReported, out: list[Output]) -> None:
        if event.coin is not None:
            if event.coin not in self._core.coins:
                return
            self.mark_unknown(event.coin, event.detail)
        else:
            trader = self._core.traders.get(event.user or "")
            if trader is None:
                return
            self._priming.unprime(trader, event.received_ms, out)
        out.append(GapFound(GapKind.FEED, event.coin, event.user, event.from_ms, event.to_ms, event.detail))
