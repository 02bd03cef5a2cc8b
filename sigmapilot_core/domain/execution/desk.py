"""The paper desk: signals become round trips on the matching engine, over real books and marks (spec 6, 7).

A pure object: every call brings its own `now_ms`; the same calls give the same orders, fills and reports. What a
restart needs is in `DeskState`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Book, Fill
from sigmapilot_core.domain.execution import paper
from sigmapilot_core.domain.execution.fees import FeeRates
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import AnswerKind, Order, OrderAnswer, OrderStatus, client_order_id
from sigmapilot_core.domain.execution.paper import Leg, LegOrder, OrderBatch, RoundTrip, Stage, TripSignal
from sigmapilot_core.domain.execution.rounding import ZeroSizeError
from sigmapilot_core.domain.execution.venue_state import EngineConfig, Events
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.risk.state import OpenPosition, RiskAccount
from sigmapilot_core.domain.venue import AssetSpec, Position

USER = "0x" + "5" * 40
"""The paper account; no real account has this address."""

RATE_MAX_AGE_MS = 600_000
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class DeskState:
    """What a restart goes on from: money without open positions' unrealised PnL, and the open round trips."""

    cash_usd: Decimal
    trips: tuple[RoundTrip, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What became of one order; `status` is the venue's word, `error` its refusal."""

    decision_id: str
    leg: Leg
    client_order_id: str
    coin: str
    is_buy: bool
    size: Decimal
    limit_px: Decimal
    is_reduce_only: bool
    order_type: str
    status: str
    filled_size: Decimal
    average_px: Decimal | None
    fee_usd: Decimal
    at_ms: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TripMoved:
    """A round trip changed; `is_over` once nothing of it is left."""

    trip: RoundTrip

    @property
    def is_over(self) -> bool:
        """Closed or abandoned."""
        return self.trip.stage in (Stage.CLOSED, Stage.ABANDONED)


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """One full hour of funding of a round trip: `usd` received (positive) or paid.

    `is_estimated`: the rate of that hour was not heard, and the first one heard afterwards stands for it.
    """

    decision_id: str
    coin: str
    hour_ms: int
    rate_hourly: float
    size: Decimal
    usd: Decimal
    is_estimated: bool


DeskOutput = OrderReport | TripMoved | FundingPaid


@dataclass(slots=True)
class _Working:
    """An order under way."""

    decision_id: str
    leg: Leg
    fee: Decimal = ZERO


@dataclass(slots=True)
class PaperDesk:
    """Runs the round trips of one paper account. `assets` are the venue's perpetuals."""

    assets: Mapping[str, AssetSpec]
    taker_fee_bps: float
    state: DeskState
    _engine: MatchingEngine = field(init=False)
    _trips: dict[str, RoundTrip] = field(init=False, default_factory=dict)
    _working: dict[str, _Working] = field(init=False, default_factory=dict)
    _by_oid: dict[int, str] = field(init=False, default_factory=dict)
    _unprotected: set[str] = field(init=False, default_factory=set)
    _marked: set[str] = field(init=False, default_factory=set)
    _rates: dict[str, tuple[float, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._engine = MatchingEngine(list(self.assets.values()), EngineConfig(name="paper", uses_fee_tiers=False))
        rate = Decimal(str(self.taker_fee_bps)) / _BPS
        self._engine.set_fee_rates(USER, FeeRates(taker=rate, maker=rate))
        self._engine.deposit(USER, self.state.cash_usd)
        for trip in self.state.trips:
            self._trips[trip.signal.coin] = trip
            self._unprotected.add(trip.signal.coin)

    @property
    def trips(self) -> tuple[RoundTrip, ...]:
        """Open round trips, by coin."""
        return tuple(self._trips[coin] for coin in sorted(self._trips))

    def account(self, now_ms: int) -> RiskAccount:
        """The account for the governor; a position whose mark is not known yet makes the equity unknown."""
        if self._unprotected:
            return RiskAccount(now_ms, None, None, is_paper=True)
        found = self._engine.account(USER, now_ms)
        positions = tuple(
            OpenPosition(position.coin, position.size, self._engine.mark(position.coin)) for position in found.positions
        )
        return RiskAccount(now_ms, float(found.account_value), float(found.maintenance_margin), positions)

    def snapshot(self) -> DeskState:
        """State to store: cash is what was deposited plus everything realised."""
        open_pnl = sum((p.unrealised_pnl for p in self._positions()), ZERO)
        held = self._pending_cash()
        return DeskState(held if held is not None else self._engine.equity(USER) - open_pnl, self.trips)

    def on_signal(self, signal: TripSignal, book: Book | None, now_ms: int) -> list[DeskOutput]:
        """Enter at once over the book of the decision; a coin that is held, or has no book, refuses the entry."""
        if signal.coin in self._trips:
            return [_refused(signal, now_ms, "a position in the coin is open")]
        if book is None or book.mid is None:
            return [_refused(signal, now_ms, "no book to trade against")]
        out = self.on_book(book, now_ms)
        try:
            trip, batch = paper.start(signal, self.assets[signal.coin])
        except (ValueError, ZeroSizeError) as error:
            return [*out, _refused(signal, now_ms, str(error))]
        self._trips[signal.coin] = trip
        out += self._send(signal.coin, batch, now_ms)
        return out + self._after_entry(signal.coin, now_ms)

    def on_book(self, book: Book, now_ms: int) -> list[DeskOutput]:
        """New liquidity and, where no mark came from the venue, the mid as mark."""
        if book.coin not in self.assets or book.mid is None:
            return []
        events = self._engine.set_external_book(book.coin, book.bids, book.asks, now_ms)
        out = self._absorb(events, now_ms)
        # the venue's triggers follow its mark: a spike of the book alone must not fire a stop
        return out if book.coin in self._marked else out + self._mark(book.coin, Decimal(str(book.mid)), now_ms)

    def on_mark(self, coin: str, mark_px: Decimal, now_ms: int, oracle_px: Decimal | None = None) -> list[DeskOutput]:
        """A new mark of the venue, from here on the only one for the coin: triggers may fire. Funding is paid on the
        oracle price."""
        self._marked.add(coin)
        return self._mark(coin, mark_px, now_ms, oracle_px)

    def on_funding_rate(self, coin: str, rate_hourly: float, now_ms: int) -> list[DeskOutput]:
        """The venue's hourly rate as heard now: every full hour that has passed since the last one is settled.

        The rate of an hour is the last one heard before its end; where none was heard within ten minutes of it, the one
        heard now stands for it, marked as estimated unless it is within ten minutes itself.
        """
        before, self._rates[coin] = self._rates.get(coin), (rate_hourly, now_ms)
        out: list[DeskOutput] = []
        while (hour_ms := self._hour_due(coin, now_ms)) is not None:
            is_heard = before is not None and 0 <= hour_ms - before[1] <= RATE_MAX_AGE_MS
            rate = before[0] if before is not None and is_heard else rate_hourly
            is_estimated = not is_heard and now_ms - hour_ms > RATE_MAX_AGE_MS
            out += self._fund(coin, rate, hour_ms, now_ms, is_estimated=is_estimated)
        return out

    def _hour_due(self, coin: str, now_ms: int) -> int | None:
        """The next full hour to settle, if it is over and a position was held through it."""
        trip = self._trips.get(coin)
        if trip is None or coin in self._unprotected or not trip.size:
            return None
        if trip.funded_until_ms is None:  # begun by a version that settled nothing
            self._trips[coin] = trip = replace(trip, funded_until_ms=now_ms // HOUR_MS * HOUR_MS)
        due_ms = (trip.funded_until_ms or 0) + HOUR_MS
        return due_ms if due_ms <= now_ms else None

    def _fund(self, coin: str, rate: float, hour_ms: int, now_ms: int, *, is_estimated: bool) -> list[DeskOutput]:
        """Settle one hour on the account and the trip: a long pays a positive rate."""
        events = self._engine.apply_funding(coin, rate, now_ms)
        paid = sum((payment.usdc for payment in events.funding if payment.user == USER), ZERO)
        trip = self._trips[coin]
        self._trips[coin] = moved = paper.on_funding(trip, paid, hour_ms)
        note = FundingPaid(trip.signal.decision_id, coin, hour_ms, rate, trip.size, paid, is_estimated)
        return [note, TripMoved(moved), *self._absorb(events, now_ms)]

    def _mark(self, coin: str, mark_px: Decimal, now_ms: int, oracle_px: Decimal | None = None) -> list[DeskOutput]:
        """Move the mark; a trip taken over from before a restart gets its protection back."""
        out = self._absorb(self._engine.set_mark(coin, mark_px, now_ms, oracle_px), now_ms)
        if coin in self._unprotected:
            self._unprotected.discard(coin)
            out += self._restore(self._trips[coin], now_ms)
        return out

    def on_time(self, now_ms: int) -> list[DeskOutput]:
        """Leave what has timed out; try again what could not be left."""
        out: list[DeskOutput] = []
        for coin, trip in sorted(self._trips.items()):
            book = self._engine.book(coin, now_ms)
            if book.mid is None or coin in self._unprotected:
                continue
            moved, batch = paper.on_time(trip, now_ms, Decimal(str(book.mid)), self.assets[coin])
            out += self._act(coin, moved, batch, now_ms)
        return out

    def on_opposite(self, coin: str, mid: Decimal, now_ms: int) -> list[DeskOutput]:
        """An opposite consensus: leave, or as soon as there is a market to leave in."""
        trip = self._trips.get(coin)
        if trip is None:
            return []
        if coin in self._unprotected and trip.stage is Stage.OPEN:
            self._trips[coin] = replace(trip, stage=Stage.LEAVING, leaving=Leg.OPPOSITE)
            return [TripMoved(self._trips[coin])]
        return self._act(coin, *paper.on_opposite(trip, mid, self.assets[coin]), now_ms)

    def _act(self, coin: str, trip: RoundTrip, batch: OrderBatch, now_ms: int) -> list[DeskOutput]:
        if not batch.orders:
            return []
        self._trips[coin] = trip
        return [TripMoved(trip), *self._send(coin, batch, now_ms)]

    def _after_entry(self, coin: str, now_ms: int) -> list[DeskOutput]:
        trip, batch = paper.on_entry_done(self._trips[coin], self.assets[coin])
        self._trips[coin] = trip
        out: list[DeskOutput] = [TripMoved(trip)]
        if trip.stage is Stage.ABANDONED:
            del self._trips[coin]
            return out
        return out + self._protect(coin, batch, now_ms)

    def _protect(self, coin: str, batch: OrderBatch, now_ms: int) -> list[DeskOutput]:
        """Place stop and take-profit; a position whose stop is refused is left at once."""
        out = self._send(coin, batch, now_ms)
        refused = next((o.leg for o in out if isinstance(o, OrderReport) and o.error is not None), None)
        trip, book = self._trips.get(coin), self._engine.book(coin, now_ms)
        if refused is None or trip is None or book.mid is None:
            return out
        mid = Decimal(str(book.mid))
        return out + self._act(coin, *paper.on_protection_refused(trip, refused, mid, self.assets[coin]), now_ms)

    def _restore(self, trip: RoundTrip, now_ms: int) -> list[DeskOutput]:
        coin = trip.signal.coin
        if not trip.size or trip.entry_px is None:
            return self._after_entry(coin, now_ms)
        self._engine.restore_position(USER, coin, trip.size, trip.entry_px, now_ms)
        return self._protect(coin, paper.protection(trip, self.assets[coin]), now_ms)

    def _send(self, coin: str, batch: OrderBatch, now_ms: int) -> list[DeskOutput]:
        decision_id = self._trips[coin].signal.decision_id
        for order in batch.orders:
            if order.intent.cloid is not None:
                self._working[order.intent.cloid] = _Working(decision_id, order.leg)
        placed = self._engine.place(USER, batch.intents, now_ms, batch.grouping)
        out = self._absorb(placed.events, now_ms)
        reported = {o.client_order_id for o in out if isinstance(o, OrderReport)}
        return out + self._refusals(batch.orders, placed.answers, reported, now_ms)

    def _refusals(
        self, orders: Sequence[LegOrder], answers: Sequence[OrderAnswer], reported: set[str], now_ms: int
    ) -> list[DeskOutput]:
        """Orders that never came to be: one answer may stand for the whole batch."""
        out: list[DeskOutput] = []
        for index, order in enumerate(orders):
            answer = answers[min(index, len(answers) - 1)]
            cloid = order.intent.cloid or ""
            if answer.kind is AnswerKind.ERROR and cloid not in reported and cloid in self._working:
                working = self._working.pop(cloid)
                out.append(_report_refused(order, working, answer.error or "refused", now_ms))
        return out

    def _absorb(self, events: Events, now_ms: int) -> list[DeskOutput]:
        """Fills move the round trip, orders that are over are reported."""
        out: list[DeskOutput] = []
        for order in events.updates:
            if order.user == USER and order.intent.cloid is not None:
                self._by_oid[order.oid] = order.intent.cloid
        for fill in events.fills:
            if fill.user == USER:
                out += self._filled(fill)
        for order in events.updates:
            if order.user == USER and order.is_over and (order.intent.cloid or "") in self._working:
                self._by_oid.pop(order.oid, None)
                out.append(_report(order, self._working.pop(order.intent.cloid or ""), now_ms))
        return out

    def _filled(self, fill: Fill) -> list[DeskOutput]:
        working = self._working.get(self._by_oid.get(fill.oid or -1, ""))
        if working is not None:
            working.fee += fill.fee or ZERO
        trip = self._trips.get(fill.coin)
        if trip is None:
            return []
        moved = paper.on_fill(trip, fill)
        if moved.stage is Stage.CLOSED:
            del self._trips[fill.coin]
        else:
            self._trips[fill.coin] = moved
        return [TripMoved(moved)]

    def _positions(self) -> tuple[Position, ...]:
        return self._engine.account(USER, 0).positions

    def _pending_cash(self) -> Decimal | None:
        """Before the first marks after a restart the engine holds no position yet: the stored cash still stands."""
        return self.state.cash_usd if self._unprotected and not self._positions() else None


def _report(order: Order, working: _Working, now_ms: int) -> OrderReport:
    status = order.status
    return OrderReport(
        decision_id=working.decision_id,
        leg=working.leg,
        client_order_id=order.intent.cloid or "",
        coin=order.coin,
        is_buy=order.is_buy,
        size=order.orig_sz,
        limit_px=order.px,
        is_reduce_only=order.intent.reduce_only,
        order_type=order.order_type,
        status=OrderStatus.FILLED.value if order.filled_sz else status.value,
        filled_size=order.filled_sz,
        average_px=order.avg_px,
        fee_usd=working.fee,
        at_ms=now_ms,
        error=status.value if status.is_rejected else None,
    )


def _report_refused(order: LegOrder, working: _Working, error: str, now_ms: int) -> OrderReport:
    intent = order.intent
    return OrderReport(
        decision_id=working.decision_id,
        leg=order.leg,
        client_order_id=intent.cloid or "",
        coin=intent.coin,
        is_buy=intent.is_buy,
        size=intent.sz,
        limit_px=intent.px,
        is_reduce_only=intent.reduce_only,
        order_type="Limit" if intent.trigger is None else "Trigger",
        status=OrderStatus.REJECTED.value,
        filled_size=ZERO,
        average_px=None,
        fee_usd=ZERO,
        at_ms=now_ms,
        error=error,
    )


def _refused(signal: TripSignal, now_ms: int, error: str) -> OrderReport:
    """An entry that was not even sent."""
    return OrderReport(
        decision_id=signal.decision_id,
        leg=Leg.ENTRY,
        client_order_id=client_order_id(signal.decision_id, Leg.ENTRY.value),
        coin=signal.coin,
        is_buy=signal.direction.sign > 0,
        size=ZERO,
        limit_px=signal.mid,
        is_reduce_only=False,
        order_type="Limit",
        status=OrderStatus.REJECTED.value,
        filled_size=ZERO,
        average_px=None,
        fee_usd=ZERO,
        at_ms=now_ms,
        error=error,
    )
