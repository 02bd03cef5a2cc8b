"""Decide -> intents -> execute -> inputs -> decide is a ring of bounded channels: it must not be able to close."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import execution_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.execution.desk import DeskState, PaperDesk, TripMoved
from sigmapilot_core.domain.execution.paper import RoundTrip, Stage, TripSignal
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.risk.state import OpenPosition, RiskAccount, RiskState
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.records import IntentRecord, ReportRecord

T0 = 20_000 * DAY_MS


class FullInputs:
    """Inputs whose channel is full until `room` is set, as it is while the decision step waits."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.taken: list[tuple[str, int, bytes]] = []

    async def submit(self, entries: Sequence[tuple[str, int, bytes]]) -> int:
        await self.room.wait()
        self.taken += entries
        return 0


async def _heard(_: ReportRecord) -> None:
    """Nobody listens."""


def _executor(pg_url: str, inputs: FullInputs) -> Executor:
    desk = PaperDesk({"BTC": AssetSpec("BTC", 5, 50)}, 4.5, DeskState(Decimal(100_000)))
    metrics = Metrics(CollectorRegistry())
    return Executor(create_engine(pg_url), desk, RiskState(), Params(), inputs, _heard, metrics)  # type: ignore[arg-type]


def test_the_executor_goes_on_while_the_inputs_are_full_and_then_tells_the_newest_account(pg_url: str) -> None:
    async def story() -> list[tuple[str, int, bytes]]:
        inputs = FullInputs()
        executor = _executor(pg_url, inputs)
        teller = asyncio.create_task(executor.tell())
        async with asyncio.timeout(10):
            for second in range(0, 30, 5):  # each of them is due to be told
                await executor.handle(IntentRecord("paper", "time", T0 + second * 1000))
                await asyncio.sleep(0)
            inputs.room.set()
            while not inputs.taken or inputs.taken[-1][1] < T0 + 25_000:
                await asyncio.sleep(0)
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)
        executor._database.dispose()
        assert executor.handled == 6
        return inputs.taken

    taken = asyncio.run(story())
    newest = from_json(RiskState, taken[-1][2].decode(), "risk state")
    assert newest.account is not None
    assert newest.account.as_of_ms == T0 + 25_000
    # the one that waited, and the newest; those between are of no use any more
    assert [kind for kind, _, _ in taken] == ["held", "account", "account"]


def test_a_loss_is_dated_by_the_event_that_closed_the_trip(pg_url: str) -> None:
    signal = TripSignal(
        "00000000-0000-5000-8000-000000000001", "BTC", Direction.LONG, Decimal(100), Decimal(1000), 0.02, T0
    )
    lost = RoundTrip(signal, Stage.CLOSED, T0 + DAY_MS, entry_notional=Decimal(1000), net_pnl_usd=Decimal(-20))

    async def story() -> RiskState:
        executor = _executor(pg_url, FullInputs())
        executor._count([TripMoved(lost)], T0 + 7_000)
        executor._database.dispose()
        return executor.risk

    after = asyncio.run(story())
    assert (after.loss_streak, after.loss_at_ms) == (1, T0 + 7_000)


def test_funding_of_an_open_position_is_written_once_with_the_money(pg_url: str) -> None:
    signal = TripSignal(
        "00000000-0000-5000-8000-000000000001", "BTC", Direction.LONG, Decimal(50_000), Decimal(1000), 0.02, T0
    )
    trip = RoundTrip(
        signal, Stage.OPEN, T0 + 7 * DAY_MS, size=Decimal("0.02"), entry_sz=Decimal("0.02"),
        entry_notional=Decimal(1000), funded_until_ms=T0,
    )  # fmt: skip
    hour = T0 + 3_600_000

    def market(at_ms: int, rate: float | None) -> IntentRecord:
        bids, asks = (("49999", "5"),), (("50001", "5"),)
        return IntentRecord("paper", "market", at_ms, "BTC", None, bids, asks, "50000", "50000", rate)

    async def story() -> Decimal:
        executor = _executor(pg_url, FullInputs())
        executor.desk = PaperDesk({"BTC": AssetSpec("BTC", 5, 50)}, 4.5, DeskState(Decimal(100_000), (trip,)))
        for at_ms in (hour - 1000, hour, hour + 500):
            await executor.handle(market(at_ms, 0.0001))
        await executor.handle(market(hour + 1000, None))
        executor._database.dispose()
        return executor.desk.snapshot().cash_usd

    assert asyncio.run(story()) == Decimal("99999.9")  # 0.02 x 50 000 x 0.0001
    engine = create_engine(pg_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT symbol, usd, is_estimated FROM paper_funding")).all()
        held = execution_store.read_desk(connection, Decimal(1))
    engine.dispose()
    assert rows == [("BTC", Decimal("-0.1"), False)]
    assert (held.cash_usd, held.trips[0].funding_usd) == (Decimal("99999.9"), Decimal("-0.1"))


def test_after_a_start_the_account_stands_as_last_known_until_every_position_has_its_mark(pg_url: str) -> None:
    known = RiskAccount(T0 - 2_000, 100_010.0, 25.0, (OpenPosition("BTC", Decimal("0.02"), Decimal(50_500)),))
    signal = TripSignal(
        "00000000-0000-5000-8000-000000000001", "BTC", Direction.LONG, Decimal(50_000), Decimal(1000), 0.02, T0
    )
    trip = RoundTrip(
        signal, Stage.OPEN, T0 + 7 * DAY_MS, size=Decimal("0.02"), entry_sz=Decimal("0.02"),
        entry_notional=Decimal(1000), funded_until_ms=T0,
    )  # fmt: skip

    async def story() -> list[tuple[int, int, float | None]]:
        executor = _executor(pg_url, FullInputs())
        executor.desk = PaperDesk({"BTC": AssetSpec("BTC", 5, 50)}, 4.5, DeskState(Decimal(100_000), (trip,)))
        executor.risk = RiskState(account=known)
        told = []
        market = IntentRecord("paper", "market", T0 + 500, "BTC", None, (("49999", "5"),), (("50001", "5"),), "50000")
        later = IntentRecord("paper", "time", T0 + 1_000)
        for intent in (IntentRecord("paper", "time", T0), market, later):
            await executor.handle(intent)
            assert executor._news is not None
            at_ms, risk, _ = executor._news
            assert risk.account is not None
            told.append((at_ms, risk.account.as_of_ms, risk.account.equity_usd))
        executor._database.dispose()
        return told

    # the mark of half a second later is told at once; what follows has the pace of always
    assert asyncio.run(story()) == [
        (T0, T0 - 2_000, 100_010.0), (T0 + 500, T0 + 500, 100_000.0), (T0 + 500, T0 + 500, 100_000.0),
    ]  # fmt: skip
