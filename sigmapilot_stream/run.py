"""Runs the stream from start to orderly end: feed, drain, commit, exit."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

from sigmapilot_core.adapters.hyperliquid.emulated_feed import EmulatedFeed
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.postgres import execution_store
from sigmapilot_core.adapters.postgres.migrate import claim_mode
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.execution.desk import PaperDesk
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_stream import app as faust_app
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.agents.execute import execute
from sigmapilot_stream.composition import PARTITION, Outside, outside, paper_equity, report_ready
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.inputs import Inputs
from sigmapilot_stream.messages import candidate_records, score_records
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import IntentRecord
from sigmapilot_stream.restore import restore, uncommitted
from sigmapilot_stream.services.feed import FeedService, decidable
from sigmapilot_stream.services.health import HealthService, serve
from sigmapilot_stream.services.priming import PrimingService
from sigmapilot_stream.services.snapshots import SnapshotService
from sigmapilot_stream.worker import Worker

INPUT_BATCHES = 64
INTENTS = 10_000
ACCOUNT = "paper"
ROLLING_S = 1.0
DRAIN_S = 20.0

log = structlog.get_logger(__name__)


class Stream:
    """All parts of one process and how they hang together."""

    def __init__(self, world: Outside) -> None:
        self._world = world
        settings = world.settings
        self.app = faust_app.local_app(settings.mode_dir / "faust")
        self._inputs_channel = faust_app.local_channel(self.app, INPUT_BATCHES)
        self._signals = faust_app.local_channel(self.app, 0)
        self._outcomes = faust_app.local_channel(self.app, 0)
        self._intents = faust_app.local_channel(self.app, INTENTS)
        self._reports = faust_app.local_channel(self.app, 0)
        self._scores = faust_app.local_channel(self.app, 0)
        self._candidates = faust_app.local_channel(self.app, 0)
        self.worker = Worker(PARTITION, world.clock.now_ms)
        self.inputs = Inputs(PARTITION, world.journal, lambda batch: self._inputs_channel.send(value=batch))
        self.executor = self._executor()
        self.feed = FeedService(world.feed, world.clock, self.inputs, world.metrics, is_virtual=world.is_virtual)
        self.priming = PrimingService(
            world.info, self.worker.engine, world.clock, self.inputs, rolling_s=None if world.is_virtual else ROLLING_S
        )
        self.snapshots = SnapshotService(
            world.database, str(settings.mode), world.clock, self.inputs, self._on_snapshot
        )
        self.decide = Decide(
            self.worker,
            world.database,
            Channels(self._send(self._signals), self._send(self._outcomes), self._intend),
            Observer(world.metrics),
            ACCOUNT,
            lambda: [trip.signal.coin for trip in self.executor.desk.trips],
            self.priming.coin_lost,
        )
        self.health = HealthService(
            world.database, world.clock, self.decide, self.feed, self.snapshots, world.metrics,
            lambda: report_ready(settings),
        )  # fmt: skip
        self._pool: frozenset[str] = frozenset()
        self._intended = 0
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _executor(self) -> Executor:
        world, params = self._world, self._world.settings.params
        with world.database.begin() as connection:
            claim_mode(connection, str(world.settings.mode))
            desk = execution_store.read_desk(connection, paper_equity(world.settings))
            risk = execution_store.read_risk(connection)
            limits = {
                "mode": "paper",
                "max_position_pct": params.risk.max_position_pct,
                "max_exposure_pct": params.risk.max_exposure_pct,
                "max_leverage": params.risk.max_leverage,
            }
            execution_store.store_config(connection, limits, world.clock.now_ms())
        return Executor(
            world.database,
            PaperDesk(world.assets, params.costs.taker_fee_bps, desk),
            risk,
            params,
            self.inputs,
            self._send(self._reports),
            world.metrics,
        )

    @staticmethod
    def _send(channel: Any) -> Any:
        """Send to a channel; one that nobody reads keeps nothing."""
        if channel.maxsize == 0:
            return _told
        return lambda value: channel.send(value=value)

    async def _intend(self, intent: IntentRecord) -> None:
        await self._intents.send(value=intent)
        self._intended += 1

    def _on_snapshot(self, snapshot: ModelSnapshot) -> None:
        """Hear what the new snapshot decides on; tell of its scores and of traders new to the pool."""
        self.feed.follow(
            [coin for coin in snapshot.fast.assets if coin in self._world.assets],
            [coin for coin in decidable(snapshot) if coin in self._world.assets],
        )
        now = self._world.clock.now_ms()
        self._world.metrics.sage_scores_total.inc(len(score_records(snapshot, now)))
        self._world.metrics.sage_candidates_total.inc(len(candidate_records(snapshot, self._pool, now)))
        self._pool = frozenset(member.address for member in snapshot.slow.pool)
        metrics = self._world.metrics
        pairs = len(self._pool) * (len(self._pool) - 1) / 2
        metrics.decide_correlation_pool_size.set(len(self._pool))
        metrics.decide_correlation_pairs_loaded.set(len(snapshot.slow.pairs))
        metrics.decide_correlation_coverage_pct.set(100 * len(snapshot.slow.pairs) / pairs if pairs else 0)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, then drain. Raises what made an agent or a service fail."""
        faust_app.local_agent(self.app, self._inputs_channel, "decide", self.decide.consume, self._failed)
        faust_app.local_agent(self.app, self._intents, "execute", self._execute, self._failed)
        progress, snapshot = await asyncio.to_thread(self._restore)
        await faust_app.start(self.app)
        site = await serve(self.health, self._world.registry, self._world.settings.ports.stream_metrics)
        try:
            await self._catch_up(progress, snapshot)
            if snapshot is None:
                self.feed.follow(self._world.assets, [])
            await self._services(stop)
        finally:
            await self._drain()
            await self.app.stop()
            await site.cleanup()

    async def _failed(self, _agent: Any, error: BaseException) -> None:
        """An agent failed. Faust would start it again without the batch it held; the journal still has it, so the
        process ends and begins anew from the last committed input."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _execute(self, stream: Any) -> None:
        await execute(self.executor, stream)

    def _restore(self) -> tuple[int, ModelSnapshot | None]:
        with self._world.database.connect() as connection:
            return restore(connection, self.worker, self._world.clock.now_ms())

    async def _catch_up(self, progress: int, snapshot: ModelSnapshot | None) -> None:
        """Inputs of before the restart first; then what may have been missed since.

        The snapshot is not noted as active: inputs of before may activate an older one, and the journal has to tell
        with which one the decision step went on. The service submits it again.
        """
        if snapshot is not None:
            self._on_snapshot(snapshot)
        reader = JournalReader(self._world.settings.journal_dir, PARTITION)
        left = await asyncio.to_thread(uncommitted, reader, progress)
        for start in range(0, len(left), 200):
            await self.inputs.resend(left[start : start + 200])
        await self._handled(self.inputs.sent_seq)
        # nothing was entered on so far: every signal without an order is one of before the restart
        await self.executor.catch_up(self._world.clock.now_ms(), ACCOUNT)
        self.decide.is_live = True
        if snapshot is not None:
            # everyone, not the pool alone: who closed and opened meanwhile would be learnt from wrongly
            followed = sorted(self.worker.engine.traders)
            await self.priming.lost(followed, snapshot.published_at_ms, "the stream was not running")
        await self._intend(IntentRecord(ACCOUNT, "time", self._world.clock.now_ms()))

    async def _handled(self, seq: int) -> None:
        """Until the decision step has handled the inputs up to this one, or failed."""
        while self.decide.handled_seq < seq and not self._failure.done():
            await asyncio.sleep(0.02)

    async def _services(self, stop: asyncio.Event) -> None:
        """Run all services until the stop; one that fails ends the process with its error."""
        parts: list[Coroutine[Any, Any, None]] = [
            self.feed.run(),
            self.snapshots.run(),
            self.priming.run(),
            self.health.run(),
            self.executor.tell(),
            self._watch_end(),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        waiter = asyncio.create_task(stop.wait())
        try:
            futures: list[asyncio.Future[Any]] = [*tasks, waiter, self._failure]
            done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiter}:
                task.result()
        finally:
            for task in [*tasks, waiter]:
                task.cancel()
            await asyncio.gather(*tasks, waiter, return_exceptions=True)

    async def _watch_end(self) -> None:
        feed = self._world.feed
        if isinstance(feed, EmulatedFeed):
            await feed.ended.wait()
            last = self._world.journal.next_seq - 1
            while self.decide.handled_seq < last:
                await asyncio.sleep(0.05)
            self.health.has_ended = True
            log.info("the recording has ended", inputs=last + 1)
        await asyncio.Event().wait()

    async def _drain(self) -> None:
        """Let the decision step finish what was sent to it, and the executor what was decided; what cannot be finished
        in time is read again at the start."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._handled(self.inputs.sent_seq)
                while self.executor.handled < self._intended and not self._failure.done():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("not everything was committed in time; the journal keeps it", last=self.inputs.sent_seq)


async def _told(_: object) -> None:
    """Nobody listens on this channel in the local transport."""


async def main(settings: Settings) -> None:
    """Run the stream of the settings until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    world = await outside(settings)
    try:
        await Stream(world).run(stop)
    finally:
        await world.close()
