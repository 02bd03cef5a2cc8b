"""Runs the stream from start to orderly end: feed, drain, commit, exit."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

from sigmapilot_core.adapters.hyperliquid.emulated_feed import EmulatedFeed
from sigmapilot_core.adapters.journal.keeper import KeeperParams
from sigmapilot_core.adapters.journal.records import JournalDamaged
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_stream import app as faust_app
from sigmapilot_stream import web
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.agents.execute import execute
from sigmapilot_stream.composition import PARTITION, Outside, executor_of, outside, report_ready
from sigmapilot_stream.course import Course
from sigmapilot_stream.decode import STARTED
from sigmapilot_stream.inputs import Inputs
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.readied import ready_to_decide
from sigmapilot_stream.records import IntentRecord
from sigmapilot_stream.restore import Before, resume, uncommitted
from sigmapilot_stream.services.announce import Announcer
from sigmapilot_stream.services.canary import CanaryService
from sigmapilot_stream.services.checkpointing import Checkpointing
from sigmapilot_stream.services.feed import FeedService
from sigmapilot_stream.services.gauges import Gauges
from sigmapilot_stream.services.health import HealthService
from sigmapilot_stream.services.journal import JournalService
from sigmapilot_stream.services.missed import MissedFills
from sigmapilot_stream.services.priming import PrimingService
from sigmapilot_stream.services.silence import SilenceWatch, Watched
from sigmapilot_stream.services.snapshots import SnapshotService
from sigmapilot_stream.services.switches import SwitchService
from sigmapilot_stream.started import Started
from sigmapilot_stream.together import run_together
from sigmapilot_stream.worker import Worker

INPUT_BATCHES = 64
INTENTS = 10_000
RESENT_AT_ONCE = 200
ACCOUNT = "paper"
ROLLING_S = 1.0
DRAIN_S = 20.0
POLL_S = 0.02

log = structlog.get_logger(__name__)


class Stream:
    """All parts of one process and how they hang together.

    feed, priming, snapshots, executor -> inputs (journal, then channel) -> decide (effects, then intents) -> executor
    """

    def __init__(self, world: Outside) -> None:
        settings, clock, metrics, params = world.settings, world.clock, world.metrics, world.settings.params
        self._world = world
        self.app = faust_app.local_app(settings.mode_dir / "faust")
        self._batches = faust_app.local_channel(self.app, INPUT_BATCHES)
        self._intents = faust_app.local_channel(self.app, INTENTS)
        self._intended = 0
        self.port: int | None = None
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        self.worker = Worker(PARTITION, clock.now_ms)
        self.course = Course(settings.journal_dir, PARTITION)
        self.inputs = Inputs(PARTITION, world.journal, lambda batch: self._batches.send(value=batch), metrics)
        self.executor = executor_of(world, self.inputs, _nobody)
        self.switches = SwitchService(world.database, clock, self.executor)
        self.priming = PrimingService(
            world.info,
            self.worker.engine,
            clock,
            self.inputs,
            rolling_s=None if world.is_virtual else ROLLING_S,
            budget=world.limiter,
            metrics=metrics,
        )
        self.missed = MissedFills(world.database, self.priming.lost, lambda: self.worker.engine.traders)
        self.checkpointing = Checkpointing(self.course.checkpoints, metrics)
        observer = Observer(metrics, params)
        self.decide = Decide(
            self.worker,
            world.database,
            Channels(_nobody, _nobody, self._intend),
            observer,
            ACCOUNT,
            self.priming.coin_lost,
            self.priming.disagreed,
            self.checkpointing,
        )
        self.feed = FeedService(world.feed, clock, self.inputs, metrics, is_virtual=world.is_virtual)
        self.announcer = Announcer(
            self.feed, world.assets, world.other_coins, clock, observer, metrics, _nobody, lambda: self.snapshots.pinned
        )
        self.snapshots = SnapshotService(world.database, str(settings.mode), clock, self.inputs, self.announcer.new)
        gauges = Gauges(
            metrics, clock, self.decide, self.inputs, self.feed, self.snapshots, world.limiter, params.freshness
        )
        self.canary = CanaryService(self.inputs, self.executor, (PARTITION,), clock, metrics)
        agents = (
            Watched("decide", lambda: self.decide.handled_seq, lambda: self.inputs.sent_seq),
            Watched("execute", lambda: self.executor.handled, lambda: self._intended),
        )
        self.silence = SilenceWatch(agents, world.database)
        self.health = HealthService(
            world.database, clock, self.decide, self.feed, self.snapshots, gauges, params.freshness,
            self.priming, lambda: report_ready(settings), self.canary,
        )  # fmt: skip
        kept = KeeperParams(24 * settings.retention.journal_days, int(settings.retention.journal_max_gb * 1024**3))
        self.journal = JournalService(settings.journal_dir, kept, clock, metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, then drain. Raises what made an agent or a service fail."""
        faust_app.local_agent(self.app, self._batches, "decide", self.decide.consume, self._failed)
        faust_app.local_agent(self.app, self._intents, "execute", self._execute, self._failed)
        before = await asyncio.to_thread(self._restore)
        self.checkpointing.applied(self.course.again_s)
        await faust_app.start(self.app)
        ports, registry = self._world.settings.ports, self._world.registry
        try:
            health = web.Health(self.health.missing, lambda: self.health.inputs_lag)
            async with web.serving(health, registry, ports.stream_metrics) as self.port:
                await self._catch_up(before)
                await self._services(stop)
        finally:
            await self._drain()
            await faust_app.stop(self.app)
            if self.is_idle and not self._failure.done():
                await self.decide.finish()

    @property
    def is_idle(self) -> bool:
        """Whether everything sent so far is decided, written and executed."""
        return self.decide.handled_seq >= self.inputs.sent_seq and self.executor.handled >= self._intended

    async def _intend(self, intent: IntentRecord) -> None:
        await self._intents.send(value=intent)
        self._intended += 1

    async def _failed(self, _agent: Any, error: BaseException) -> None:
        """An agent failed. Faust would start it again without the batch it held; the journal still has it, so the
        process ends and begins anew from the last committed input."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _execute(self, stream: Any) -> None:
        await execute(self.executor, stream)

    def _restore(self) -> Before:
        with self._world.database.connect() as connection:
            return resume(connection, self.worker, self.course, self._world.clock.now_ms())

    async def _catch_up(self, before: Before) -> None:
        """Inputs of before the restart first; then what may have been missed since.

        The snapshot is not noted as active: inputs of before may activate an older one, and the journal has to tell
        with which one the decision step went on. The service submits it again.
        """
        if before.snapshot is None:
            self.announcer.hear_everything()
        else:
            await self.announcer.new(before.snapshot)
        if before.effects is not None:
            await self.decide.commit(before.effects)
        is_whole = await self._read_on(before.progress)
        await self._handled(self.inputs.sent_seq)
        now = self._world.clock.now_ms()
        # nothing was entered on so far: every signal without an order is one of before the restart
        await self.executor.catch_up(now, ACCOUNT)
        await self.switches.look()
        self.decide.is_live = True
        settings = self._world.settings
        started = Started(str(settings.mode), ACCOUNT, settings.params, tuple(self._world.assets.values()))
        await self.inputs.submit([(STARTED, now, canonical_json(started).encode())])
        since = before.last_seen_ms or now
        if before.is_exact and is_whole:
            # the first trades of each coin tell whether any were missed
            self.feed.feed.remember(self.worker.trades_seen)
            self.priming.restarted(since)
        else:
            # everyone, not the pool alone: who closed and opened meanwhile would be learnt from wrongly
            await self.priming.lost(sorted(self.worker.engine.traders), since, "the stream was not running")

    async def _read_on(self, progress: int) -> bool:
        """Decide on what was journalled and not committed. False if some of it is lost."""
        if self._world.journal.cut_bytes:
            self._world.metrics.sigmapilot_journal_cut_bytes_total.inc(self._world.journal.cut_bytes)
            log.warning("an incomplete last record was cut off", bytes=self._world.journal.cut_bytes)
        try:
            left = await asyncio.to_thread(uncommitted, self.course, progress)
        except JournalDamaged as error:
            log.error("inputs from before the restart are lost", reason=str(error))
            self._world.journal.go_on_after(progress)
            return False
        for start in range(0, len(left), RESENT_AT_ONCE):
            await self.inputs.resend(left[start : start + RESENT_AT_ONCE])
        self._world.journal.go_on_after(progress)
        return True

    async def _handled(self, seq: int) -> None:
        """Until the decision step has handled the inputs up to this one, or failed."""
        while self.decide.handled_seq < seq and not self._failure.done():
            await asyncio.sleep(POLL_S)

    async def _services(self, stop: asyncio.Event) -> None:
        """Run all services until the stop; one that fails ends the process with its error."""
        parts: list[Coroutine[Any, Any, Any]] = [
            self.feed.run(),
            self.snapshots.run(),
            self.priming.run(),
            self.missed.run(),
            self.health.run(),
            self.health.measure(),
            self.canary.send(),
            self.canary.measure(),
            self.silence.run(),
            self.journal.run(),
            self.executor.tell(),
            self.switches.run(),
            self._watch_end(),
            ready_to_decide(),
        ]
        await run_together(parts, stop, self._failure)

    async def _watch_end(self) -> None:
        """Notice that a recording is over, and everything it brought is decided and written."""
        feed = self._world.feed
        if isinstance(feed, EmulatedFeed):
            await feed.ended.wait()
            await self.feed.emptied()
            await self._handled(self.inputs.sent_seq)
            self.health.has_ended = True
            log.info("the recording has ended", inputs=self.inputs.sent_seq + 1)
        await asyncio.Event().wait()

    async def _drain(self) -> None:
        """Let the decision step finish what was sent to it, and the executor what was decided; what cannot be finished
        in time is read again at the start."""
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self.is_idle and not self._failure.done():
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log.warning("not everything was committed in time; the journal keeps it", last=self.inputs.sent_seq)


async def _nobody(_: object) -> None:
    """Nobody listens on this topic in the local transport."""


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
