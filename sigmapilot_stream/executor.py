"""Runs the paper account: signals become orders, markets move stops, time ends positions; the governor keeps count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from functools import partial

import orjson
import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import execution_store
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.events import ZERO, Book, Direction, Level, Verdict
from sigmapilot_core.domain.execution import paper
from sigmapilot_core.domain.execution.desk import DeskOutput, FundingPaid, OrderReport, PaperDesk, TripMoved
from sigmapilot_core.domain.execution.paper import Leg, Stage, TripSignal
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.risk import kill_switch, steps
from sigmapilot_core.domain.risk.governor import check_kill_switch, check_portfolio
from sigmapilot_core.domain.risk.kill_switch import SwitchAnswer, SwitchRequest
from sigmapilot_core.domain.risk.state import KillSwitch, RiskAccount, RiskState
from sigmapilot_stream.decode import ACCOUNT, HELD
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.records import IntentRecord, ReportRecord, SignalRecord
from sigmapilot_stream.retrying import until_written

ACCOUNT_EVERY_MS = 5_000
EQUITY_EVERY_MS = 60_000
LATEST_ENTRY_MS = 10_000
LATE = "the process ended between decision and order; the entry is not made late"

log = structlog.get_logger(__name__)


class Executor:
    """One trading account. Everything it does is written, in one transaction a step, before anyone is told."""

    def __init__(
        self,
        database: sa.Engine,
        desk: PaperDesk,
        risk: RiskState,
        params: Params,
        inputs: Submits,
        publish: Callable[[ReportRecord], Awaitable[object]],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self.desk = desk
        self.risk = risk
        self._params = params
        self._inputs = inputs
        self._publish = publish
        self._metrics = metrics
        self._told_ms = 0
        self._is_told_old = False
        self._equity_ms = 0
        self._news: tuple[int, RiskState, tuple[str, ...]] | None = None
        self._held_told: tuple[str, ...] | None = None
        self._has_news = asyncio.Event()
        # a request of a person and an intent both move the governor's state: one at a time
        self._turn = asyncio.Lock()
        self.handled = 0
        # called in every transaction of a step, by whoever has a say in whether it may be committed
        self.within: Callable[[sa.Connection], None] = lambda _: None
        self._newest_ms = 0
        # number of the newest canary by the partition it came through
        self.canaries: dict[str, int] = {}

    async def handle(self, intent: IntentRecord) -> None:
        """One piece of work. It never waits for the decision step, which may be waiting for this."""
        async with self._turn:
            await self._handle(intent)
        self.handled += 1

    async def switch(self, request: SwitchRequest, now_ms: int) -> SwitchAnswer:
        """Answer a person's request for the kill switch: written first, then in force, then told to the decision step
        as an input like any other, so that a replay sees it."""
        async with self._turn:
            risk, answer = kill_switch.answer(self.risk, request, now_ms, self._params.risk)
            await until_written(partial(self._write_switch, risk, request, answer, now_ms), "kill switch")
            self.risk = risk
        self._metrics.sigmapilot_kill_switch.set(risk.kill_switch is not None)
        self._tell(now_ms)
        return answer

    async def _handle(self, intent: IntentRecord) -> None:
        before = self.risk
        self._newest_ms = max(self._newest_ms, intent.at_ms)
        found = self._act(intent)
        is_due = intent.at_ms - self._told_ms >= ACCOUNT_EVERY_MS or self._has_become_known(intent.at_ms)
        if not found and not is_due and intent.kind not in ("enter", "canary"):
            return
        account = self.desk.account(intent.at_ms)
        is_known = account.equity_usd is not None
        if is_known:
            # until positions taken over have their marks, the account stands as last known and ages as any input does
            self.risk = steps.on_account(self.risk, account, intent.at_ms, self._params.risk)
        self.risk = steps.on_timer(self.risk, intent.at_ms, self._params.risk)
        self._count(found, intent.at_ms)
        await until_written(lambda: self._write(intent, found, account, before.kill_switch), "paper account")
        for output in found:
            if isinstance(output, OrderReport):
                await self._publish(_record(intent.account, output))
        if is_due or found or self.risk.kill_switch != before.kill_switch:
            self._is_told_old = not is_known
            self._tell(intent.at_ms)
        if intent.kind == "canary":
            self.canaries[intent.source] = int(intent.symbol)

    def _has_become_known(self, now_ms: int) -> bool:
        """Whether the account, told as last known, is known anew: after a start with open positions, once each has its
        mark."""
        return self._is_told_old and self.desk.account(now_ms).equity_usd is not None

    def _act(self, intent: IntentRecord) -> list[DeskOutput]:
        match intent.kind:
            case "enter" if intent.signal is not None:
                return self._enter(intent, intent.signal)
            case "opposite" if intent.signal is not None and self._is_against(intent.signal):
                return self.desk.on_opposite(intent.symbol, Decimal(str(intent.signal.entry_price)), intent.at_ms)
            case "market":
                return self._market(intent)
            case "time":
                return self.desk.on_time(intent.at_ms)
        return []

    def _enter(self, intent: IntentRecord, signal: SignalRecord) -> list[DeskOutput]:
        """Enter, unless something came between the decision and its order."""
        self.risk = steps.on_signal(self.risk, intent.symbol, intent.at_ms, self._params.risk)
        why = self._against_entry(intent, signal)
        if why is not None:
            return [refused_entry(signal.decision_id, signal.symbol, signal.direction, signal.entry_price,
                                  intent.at_ms, why)]  # fmt: skip
        return self.desk.on_signal(trip_signal(signal), _book(intent), intent.at_ms)

    def _against_entry(self, intent: IntentRecord, signal: SignalRecord) -> str | None:
        """Why an entry is not made any more: the kill switch went on, its prices are of another moment, or what others
        entered meanwhile has used up the limits that it was decided with."""
        switch = check_kill_switch(self.risk, self._params.risk, intent.at_ms)
        if switch.verdict is not Verdict.PASS:
            return f"the kill switch is {switch.detail}"
        late_ms = self._newest_ms - intent.at_ms
        if late_ms > LATEST_ENTRY_MS:
            return f"the decision is {late_ms / 1000:.1f} s older than the newest thing known of the account"
        account = self.desk.account(intent.at_ms)
        checks = check_portfolio(account, signal.notional_usd, self._params.risk)
        failed = [check for check in checks if check.verdict is not Verdict.PASS]
        return "; ".join(f"{check.name}: {check.detail}" for check in failed) or None

    def _market(self, intent: IntentRecord) -> list[DeskOutput]:
        """Funding first: an hour that is over was held at the prices of before."""
        out: list[DeskOutput] = []
        if intent.funding_rate_hourly is not None:
            out += self.desk.on_funding_rate(intent.symbol, intent.funding_rate_hourly, intent.at_ms)
        book = _book(intent)
        if book is not None:
            out += self.desk.on_book(book, intent.at_ms)
        if intent.mark_px is not None:
            oracle = None if intent.oracle_px is None else Decimal(intent.oracle_px)
            out += self.desk.on_mark(intent.symbol, Decimal(intent.mark_px), intent.at_ms, oracle)
        return out

    def _is_against(self, signal: SignalRecord) -> bool:
        return any(
            trip.signal.coin == signal.symbol and trip.signal.direction.value != signal.direction
            for trip in self.desk.trips
        )

    def _count(self, found: Sequence[DeskOutput], now_ms: int) -> None:
        """Move the governor on: a closed round trip is a win or a loss."""
        for output in found:
            if isinstance(output, OrderReport):
                self._metrics.sigmapilot_orders_total.labels(output.leg.value, output.status).inc()
            elif (
                isinstance(output, TripMoved) and output.trip.stage is Stage.CLOSED and output.trip.result_r is not None
            ):
                self.risk = steps.on_close(self.risk, output.trip.result_r, now_ms)
        self._metrics.sigmapilot_open_positions.set(len(self.desk.trips))
        self._metrics.sigmapilot_kill_switch.set(self.risk.kill_switch is not None)

    def _write_switch(self, risk: RiskState, request: SwitchRequest, answer: SwitchAnswer, now_ms: int) -> None:
        with self._database.begin() as connection:
            execution_store.store_switch_answer(connection, request, answer, now_ms)
            execution_store.store_risk(connection, risk, now_ms)

    def _write(
        self, intent: IntentRecord, found: Sequence[DeskOutput], account: RiskAccount, switch: KillSwitch | None
    ) -> None:
        """All of one step; `switch` is the kill switch before it."""
        now_ms = intent.at_ms
        with self._database.begin() as connection:
            self.within(connection)
            for output in found:
                if isinstance(output, OrderReport):
                    execution_store.store_order(connection, output, self._figures(intent, output, account))
                elif isinstance(output, FundingPaid):
                    execution_store.store_funding(connection, output)
            self._write_trips(connection, found)
            cash = self.desk.snapshot().cash_usd
            execution_store.store_desk(connection, cash, now_ms)
            execution_store.store_risk(connection, self.risk, now_ms)
            execution_store.store_switch_rule(connection, switch, self.risk.kill_switch, now_ms)
            execution_store.mark_positions(connection, self._marks(account))
            if account.equity_usd is not None and (found or now_ms - self._equity_ms >= EQUITY_EVERY_MS):
                self._equity_ms = now_ms
                self._metrics.sigmapilot_equity_usd.set(account.equity_usd)
                execution_store.store_equity(connection, now_ms, account.equity_usd, float(cash), account.exposure_usd)

    def _write_trips(self, connection: sa.Connection, found: Sequence[DeskOutput]) -> None:
        for output in found:
            if not isinstance(output, TripMoved) or output.trip.stage is Stage.ENTERING:
                continue
            if output.is_over:
                execution_store.remove_trip(connection, output.trip.signal.coin)
            else:
                stop, target = paper.exit_prices(output.trip, self.desk.assets[output.trip.signal.coin])
                execution_store.store_trip(connection, output.trip, float(stop), float(target))

    def _figures(self, intent: IntentRecord, report: OrderReport, account: RiskAccount) -> dict[str, object]:
        """Account and sizing columns of `execution_logs`."""
        equity, signal = account.equity_usd, intent.signal
        filled = float(report.filled_size) * float(report.average_px or 0)
        is_entry = report.leg is Leg.ENTRY
        slippage = None
        if report.average_px is not None and signal is not None and is_entry:
            slippage = abs(float(report.average_px) - signal.entry_price) / signal.entry_price
        return {
            "account_value": equity,
            "position_pct": filled / equity if equity else None,
            "exposure_after": account.exposure_usd,
            "exposure_before": account.exposure_usd - filled if is_entry else account.exposure_usd + filled,
            "slippage_actual": slippage,
            "kelly_method": signal.kelly_method if signal is not None and is_entry else "none",
            "kelly_position_pct": signal.kelly_position_pct if signal is not None and is_entry else None,
            "kelly_fraction": signal.kelly_fraction if signal is not None and is_entry else None,
            "binding_cap": signal.binding_cap if signal is not None and is_entry else None,
        }

    def _marks(self, account: RiskAccount) -> dict[str, tuple[float, float]]:
        entries = {trip.signal.coin: trip.entry_px for trip in self.desk.trips}
        return {
            p.coin: (float(p.mark_px), float((p.mark_px - (entries[p.coin] or p.mark_px)) * p.size))
            for p in account.positions
            if p.coin in entries
        }

    def _tell(self, now_ms: int) -> None:
        """The account as it is now is news for the decision step; older news that was not heard is dropped."""
        self._told_ms = now_ms
        self._news = (now_ms, self.risk, tuple(trip.signal.coin for trip in self.desk.trips))
        self._has_news.set()

    async def tell(self) -> None:
        """Hand the newest account to the decision step, until cancelled.

        Beside `handle`, not in it: inputs wait while their channel is full, the decision step waits while the channel
        of intents is full, and an executor that waited for inputs would close the ring.
        """
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            if self._news is not None:
                now_ms, risk, held = self._news
                news = [(ACCOUNT, now_ms, canonical_json(risk).encode())]
                if held != self._held_told:
                    news.insert(0, (HELD, now_ms, orjson.dumps(held)))
                await self._inputs.submit(news)
                self._held_told = held

    async def catch_up(self, now_ms: int, account: str) -> None:
        """Signals that never reached the desk before a restart are refused for the record: they are late."""
        found = await asyncio.to_thread(self._without_order, now_ms)
        for row in found:
            log.warning("signal without an order from before the restart", decision_id=str(row.id), symbol=row.symbol)
            report = refused_entry(str(row.id), row.symbol, row.direction, row.entry_price, now_ms, LATE)
            await until_written(partial(self._write_report, report), "late signal")
            await self._publish(_record(account, report))

    def _without_order(self, now_ms: int) -> Sequence[sa.Row]:
        with self._database.connect() as connection:
            return execution_store.signals_without_order(connection, now_ms - 86_400_000)

    def _write_report(self, report: OrderReport) -> None:
        with self._database.begin() as connection:
            execution_store.store_order(connection, report, {"kelly_method": "none"})


def trip_signal(record: SignalRecord) -> TripSignal:
    """The signal as the desk takes it."""
    return TripSignal(
        decision_id=record.decision_id,
        coin=record.symbol,
        direction=Direction(record.direction),
        mid=Decimal(str(record.entry_price)),
        notional_usd=Decimal(str(record.notional_usd)),
        stop_fraction=record.stop_fraction,
        decided_at_ms=record.decided_ms,
    )


def refused_entry(decision_id: str, coin: str, direction: str, price: float, now_ms: int, error: str) -> OrderReport:
    """An entry that is not made: its prices are of another moment, or the kill switch went on."""
    return OrderReport(
        decision_id=decision_id,
        leg=Leg.ENTRY,
        client_order_id=paper.client_order_id(decision_id, Leg.ENTRY.value),
        coin=coin,
        is_buy=direction == Direction.LONG.value,
        size=ZERO,
        limit_px=Decimal(str(price)),
        is_reduce_only=False,
        order_type="Limit",
        status="rejected",
        filled_size=ZERO,
        average_px=None,
        fee_usd=ZERO,
        at_ms=now_ms,
        error=error,
    )


def _book(intent: IntentRecord) -> Book | None:
    if not intent.bids or not intent.asks:
        return None
    bids, asks = (tuple(Level(Decimal(px), Decimal(sz)) for px, sz in side) for side in (intent.bids, intent.asks))
    book = Book(intent.symbol, intent.at_ms, intent.at_ms, bids, asks)
    return None if book.mid is None else book  # nobody trades on a crossed book


def _record(account: str, report: OrderReport) -> ReportRecord:
    return ReportRecord(
        account=account,
        client_order_id=report.client_order_id,
        decision_id=report.decision_id,
        leg=report.leg.value,
        symbol=report.coin,
        side="buy" if report.is_buy else "sell",
        status=report.status,
        filled_size=str(report.filled_size),
        average_px=None if report.average_px is None else str(report.average_px),
        fee_usd=str(report.fee_usd),
        at_ms=report.at_ms,
        error=report.error,
    )
