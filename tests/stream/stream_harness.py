"""A whole stream in the test's own event loop: a scripted emulated venue, a real database, a clock moved by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig
from sigmapilot_core.adapters.emulator.scripted_source import Script, ScriptedSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.hyperliquid.connection import ConnectionParams
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import Settings, load_settings
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_stream.composition import PARTITION, Outside
from sigmapilot_stream.run import Stream
from tests.domain.engine.engine_builders import MARKET_MAKER, POOL, T0, snapshot

BTC = AssetSpec("BTC", 5, 50)
ETH = AssetSpec("ETH", 4, 25)
PX = Decimal(50_000)
STEP_MS = 500
DELAY_MS = 50
DEADLINE_S = 20.0
QUIET_TURNS = 50
UNLIMITED = EmulatorConfig(stepped=True, limits=LimitConfig(enabled=False))

T = TypeVar("T")


async def until(what: str, ask: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """The first true answer; fails with what was waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (answer := ask()):
        assert loop.time() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.01)
    return answer


def trade(number: int, after_ms: int, user: str = POOL[0], side: str = "buy", **more: Any) -> Trade:
    """Trade `number` of a trader with the market maker, `after_ms` after the start."""
    values: dict[str, Any] = {"coin": "BTC", "px": PX, "sz": Decimal(1), **more}
    is_buy = side == "buy"
    return Trade(
        time_ms=T0 + after_ms,
        tid=number,
        hash=f"0x{number:064x}",
        buyer=user if is_buy else MARKET_MAKER,
        seller=MARKET_MAKER if is_buy else user,
        aggressor_is_buyer=is_buy,
        **values,
    )


def script(*trades: Trade) -> Script:
    """A venue of two coins on which these trades happen."""
    return Script(assets=[BTC, ETH], prices={"BTC": PX, "ETH": Decimal(2_500)}, trades=list(trades))


def settings_of(home: Path, database_url: str, venue_url: str = "http://127.0.0.1:1", mode: str = "demo") -> Settings:
    """Settings of one installation; the metrics port is a free one."""
    found = load_settings(
        {
            "SIGMAPILOT_HOME": str(home),
            "SIGMAPILOT_MODE": mode,
            "SIGMAPILOT_DATABASE_URL": database_url,
            "SIGMAPILOT_VENUE_API_URL": venue_url,
            "SIGMAPILOT_VENUE_WS_URL": venue_url.replace("http", "ws") + "/ws",
        },
        environ={},
    )
    return replace(found, ports=replace(found.ports, stream_metrics=0))


def publish(database_url: str, model: ModelSnapshot | None = None) -> ModelSnapshot:
    """Put a model into the database, as the asset graph does."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        found = snapshot_store.publish(connection, model or snapshot(), None)
    engine.dispose()
    assert found is not None
    return found


@dataclass
class Running:
    """A running stream with its venue and its clock."""

    stream: Stream
    world: Outside
    emulator: Emulator
    clock: FeedClock
    task: asyncio.Task[None]
    stop: asyncio.Event

    async def ready(self) -> None:
        """Until everything is there for decisions."""
        await until("it is ready", lambda: self.stream.health.was_ready or self.task.done())
        self.still_runs()

    def still_runs(self) -> None:
        """Raise what has ended the stream."""
        if self.task.done():
            self.task.result()
            raise AssertionError("the stream has ended")

    async def play(self, to_ms: int, step_ms: int = STEP_MS) -> None:
        """Let the venue live until `to_ms` after the start; what each step brings is handled before the next."""
        begin = self.emulator.parts().venue.now_ms
        for at_ms in (*range(begin + step_ms, T0 + to_ms, step_ms), T0 + to_ms):
            self.clock.advance_to(at_ms + DELAY_MS)
            await self.emulator.advance(at_ms)
            await self.emulator.parts().feed.publisher.wait_for_consumers(DEADLINE_S)
            await self.settled()

    async def settled(self) -> None:
        """Until everything the venue has sent is received, decided, written and executed."""
        stream, quiet, seen = self.stream, 0, -1
        while quiet < QUIET_TURNS:  # venue and feed live in this loop: what is on its way arrives within a few turns
            await asyncio.sleep(0)
            frames = stream.feed.status().counts.get("frames", 0)
            quiet, seen = (quiet + 1, seen) if frames == seen else (0, frames)
        await stream.feed.emptied()
        await until("everything is handled", lambda: self.task.done() or stream.is_idle)
        self.still_runs()

    async def end(self) -> None:
        """Stop in order; raises what made it fail."""
        self.stop.set()
        await asyncio.wait_for(self.task, DEADLINE_S)


@asynccontextmanager
async def venue(*trades: Trade, played: Script | None = None) -> AsyncIterator[tuple[Emulator, str]]:
    """A served emulator over a script, its clock stepped; events begin at T0."""
    emulator = Emulator(UNLIMITED, FeedClock(T0), seconds=lambda: 0.0)
    async with serving(emulator) as url:
        emulator.open(ScriptedSource(played or script(*trades), T0))
        yield emulator, url


class HandClock:
    """A machine's clock moved by hand: the feed is not its own clock, as with the real exchange."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance_to(self, to_ms: int) -> None:
        self._now_ms = max(self._now_ms, to_ms)


@asynccontextmanager
async def running(
    home: Path,
    database_url: str,
    emulator: Emulator,
    url: str,
    assets: Sequence[AssetSpec] = (BTC, ETH),
    is_virtual: bool = True,
    **changes: Any,
) -> AsyncIterator[Running]:
    """A stream over a venue; ended in order unless the test has ended it. `is_virtual` as in a recording; `changes` of
    the feed's connections."""
    clock = FeedClock(T0 + DELAY_MS) if is_virtual else HandClock(T0 + DELAY_MS)
    world = outside(settings_of(home, database_url, url), clock, assets, **changes)  # type: ignore[arg-type]
    world.clock.advance_to(emulator.parts().venue.now_ms + DELAY_MS)  # type: ignore[attr-defined]
    stop = asyncio.Event()
    stream = Stream(world)
    task = asyncio.create_task(stream.run(stop))
    found = Running(stream, world, emulator, world.clock, task, stop)  # type: ignore[arg-type]
    try:
        yield found
        await found.end()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.close()


def outside(settings: Settings, clock: FeedClock, assets: Sequence[AssetSpec] = (BTC, ETH), **changes: Any) -> Outside:
    """The outside world of a stream with a clock moved by hand and the plain feed."""
    registry, pace, rng = CollectorRegistry(), LoopPace(), random.Random(7)
    limiter = Limiter(LimiterParams(limit=100_000), pace, rng)
    link = ConnectionParams(settings.venue.ws, **changes)
    feed = FeedParams(link, coin_connections=2, sends_per_s=1_000, replay_margin_ms=0)
    return Outside(
        settings=settings,
        database=create_engine(settings.database_url.get_secret_value()),
        registry=registry,
        metrics=Metrics(registry),
        clock=clock,
        limiter=limiter,
        info=Info(RestParams(settings.venue.api), limiter),
        feed=Feed(feed, clock, pace, rng),
        journal=JournalWriter(settings.journal_dir, PARTITION, lambda: 0.0),
        assets={asset.coin: asset for asset in assets},
    )


def asked(live: Running, why: str, answer: str = "yes") -> float:
    """Accounts that were asked about for a reason."""
    count = live.world.metrics.sigmapilot_positions_asked_total.labels(why, answer)
    return float(count._value.get())


def rows(database_url: str, query: str, **bound: Any) -> list[Any]:
    """What a query finds."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(sa.text(query), bound))
    finally:
        engine.dispose()
