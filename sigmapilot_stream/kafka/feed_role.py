"""The one process beside the workers: reads the venue, numbers and journals every input, primes accounts, and executes
for the trading account. It holds no engine; what it knows of the workers' it reads from their reports."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

from sigmapilot_core.adapters.hyperliquid.emulated_feed import EmulatedFeed
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.journal.keeper import KeeperParams
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.records import JournalDamaged
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres import partition_store, snapshot_store, stream_store
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.engine.share import shares
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_stream import app as faust_app
from sigmapilot_stream import topics, web
from sigmapilot_stream.composition import Outside, executor_of, report_ready
from sigmapilot_stream.decode import STARTED
from sigmapilot_stream.kafka import links
from sigmapilot_stream.kafka.executing import Executing, Work
from sigmapilot_stream.kafka.followed import Followed
from sigmapilot_stream.kafka.groups import ACCOUNT, executor_group
from sigmapilot_stream.kafka.recall import recall
from sigmapilot_stream.kafka.shared_inputs import SharedInputs
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.services.announce import Announcer
from sigmapilot_stream.services.canary import CanaryService
from sigmapilot_stream.services.feed import FeedService
from sigmapilot_stream.services.gauges import Gauges
from sigmapilot_stream.services.health import HealthService
from sigmapilot_stream.services.journal import JournalService
from sigmapilot_stream.services.missed import MissedFills
from sigmapilot_stream.services.priming import PrimingService
from sigmapilot_stream.services.silence import SilenceWatch
from sigmapilot_stream.services.snapshots import SnapshotService
from sigmapilot_stream.services.switches import SwitchService
from sigmapilot_stream.started import Started
from sigmapilot_stream.together import run_together

ROLLING_S = 1.0
RESENT_AT_ONCE = 1_000
WAITING = 1_000
POLL_S = 0.1

log = structlog.get_logger(__name__)


class FeedRole:
    """All parts of the feed's process.

    feed, priming, snapshots, executor -> inputs (journal, then broker) -> workers -> intents (broker) -> executor
    """

    def __init__(self, world: Outside) -> None:
        settings, clock, metrics, params = world.settings, world.clock, world.metrics, world.settings.params
        assert settings.broker_url is not None, "a feed for workers without a broker"
        self._world = world
        self._url = settings.broker_url.get_secret_value()
        self._owner = f"feed-{socket.gethostname()}-{os.getpid()}"
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producer = links.producer(self._url, self._owner)
        self._consumer = links.consumer(self._url, executor_group(settings), self._owner)
        publisher = links.Publisher(self._producer)
        self.shares = shares(settings.stream_partitions)
        self.journals = [JournalWriter(settings.journal_dir, share.name, time.monotonic) for share in self.shares]
        self.followed = Followed(world.database, self.shares)
        self.inputs = SharedInputs(
            self.shares,
            self.journals,
            lambda partition, batch: publisher.to_partition(topics.FILLS, partition, batch),
            metrics,
            self.followed.submitted,
        )
        self.executor = executor_of(world, self.inputs, publisher)
        self.switches = SwitchService(world.database, clock, self.executor)
        self.priming = PrimingService(
            world.info, self.followed, clock, self.inputs,
            rolling_s=None if world.is_virtual else ROLLING_S, budget=world.limiter, metrics=metrics,
        )  # fmt: skip
        self.followed.on_gap, self.followed.on_disagreement = self.priming.coin_lost, self.priming.disagreed
        self.missed = MissedFills(world.database, self.priming.lost, lambda: self.followed.traders)
        self.feed = FeedService(world.feed, clock, self.inputs, metrics, is_virtual=world.is_virtual)
        observer = Observer(metrics, params)
        self.announcer = Announcer(self.feed, world.assets, world.other_coins, clock, observer, metrics, publisher)
        self.snapshots = SnapshotService(world.database, str(settings.mode), clock, self.inputs, self._new_model)
        gauges = Gauges(
            metrics, clock, self.followed, self.inputs, self.feed, self.snapshots, world.limiter, params.freshness
        )
        names = [share.name for share in self.shares]
        self.canary = CanaryService(self.inputs, self.executor, names, clock, metrics)
        self.health = HealthService(
            world.database, clock, self.followed, self.feed, self.snapshots, gauges, params.freshness, self.priming,
            lambda: report_ready(settings), self.canary,
        )  # fmt: skip
        kept = settings.retention
        self.journal = JournalService(
            settings.journal_dir,
            KeeperParams(24 * kept.journal_days, int(kept.journal_max_gb * 1024**3)),
            clock,
            metrics,
        )
        self.app = faust_app.local_app(settings.mode_dir / "faust-feed")
        self._work = faust_app.local_channel(self.app, WAITING)
        self.executing = Executing(self._consumer, self.executor, world.database, ACCOUNT, self._owner, self._deliver)
        self.silence = SilenceWatch([self.executing.counted.watched], world.database)
        self.port: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop. Raises what made an agent or a service fail."""
        faust_app.local_agent(self.app, self._work, "execute", self._execute, self._failed)
        settings = self._world.settings
        async with AsyncExitStack() as ends:
            for journal in self.journals:
                ends.callback(journal.close)
            await links.declare(self._url, settings.stream_partitions)
            ends.push_async_callback(self._producer.stop)
            await self._producer.start()
            ends.push_async_callback(self._consumer.stop)
            await self._consumer.start()
            ends.push_async_callback(faust_app.stop, self.app)
            await faust_app.start(self.app)
            health = web.Health(self.missing, lambda: self.health.inputs_lag)
            serving = web.serving(health, self._world.registry, settings.ports.stream_metrics)
            self.port = await ends.enter_async_context(serving)
            await self._catch_up()
            await self._services(stop)

    @property
    def is_idle(self) -> bool:
        """Whether everything sent so far is decided, by what the workers have reported."""
        return self.followed.handled_seq >= self.inputs.sent_seq

    def missing(self) -> list[str]:
        """What is still missing for decisions."""
        silent = self.followed.silent
        reasons = [f"nobody has reported of {len(silent)} of {len(self.shares)} partitions"] if silent else []
        return reasons + self.health.missing()

    async def _new_model(self, snapshot: ModelSnapshot) -> None:
        """Follow what a model names before it is in force."""
        leaving = await asyncio.to_thread(self._with_positions)
        self.followed.adopt(snapshot, leaving)
        await self.announcer.new(snapshot)

    async def _catch_up(self) -> None:
        """Inputs that were journalled before a restart and may not have reached the broker; then what was missed.

        Where it is known which trades were heard before, the first ones of each coin tell whether any were missed;
        else everybody's positions are asked anew.
        """
        progress, newest, seen_ms = await asyncio.to_thread(self._before)
        heard = await asyncio.to_thread(self._heard_before)
        if newest is None:
            self.announcer.hear_everything()
        else:
            await self._new_model(newest)
        is_whole = True
        for partition, share in enumerate(self.shares):
            is_whole &= await self._resend(partition, share.name, progress.get(share.name, -1))
        await self.executing.take()
        await self.switches.look()
        now, settings = self._world.clock.now_ms(), self._world.settings
        started = Started(str(settings.mode), ACCOUNT, settings.params, tuple(self._world.assets.values()))
        await self.inputs.submit([(STARTED, now, canonical_json(started).encode())])
        since = seen_ms or now
        if is_whole and heard is not None:
            self.feed.feed.remember(heard)
            self.priming.restarted(since)
        else:
            await self.priming.lost(sorted(self.followed.traders), since, "the feed was not running")

    async def _resend(self, partition: int, name: str, progress: int) -> bool:
        """Send what follows the last committed input once more: what the broker has already counts once. False if some
        of it is lost."""
        journal = self.journals[partition]
        reader = JournalReader(self._world.settings.journal_dir, name)
        try:
            left = await asyncio.to_thread(lambda: list(reader.read(progress + 1)))
        except JournalDamaged as error:
            log.error("inputs from before the restart are lost", partition=name, reason=str(error))
            journal.go_on_after(progress)
            return False
        records = [InputRecord(record.seq, record.kind, record.received_ms, record.payload) for record in left]
        for start in range(0, len(records), RESENT_AT_ONCE):
            await self.inputs.resend(partition, records[start : start + RESENT_AT_ONCE])
        journal.go_on_after(progress)
        if records:
            log.info("inputs sent once more", partition=name, count=len(records), first=records[0].seq)
        return True

    def _heard_before(self) -> TradeIntake | None:
        folder = self._world.settings.journal_dir
        return recall(self._world.database, folder, self.shares, self.journals)

    def _before(self) -> tuple[dict[str, int], ModelSnapshot | None, int | None]:
        with self._world.database.connect() as connection:
            version = snapshot_store.newest_version(connection)
            newest = None if version is None else snapshot_store.read_snapshot(connection, version)
            return partition_store.read_progress(connection), newest, stream_store.read_heartbeat(connection)

    def _with_positions(self) -> list[str]:
        with self._world.database.connect() as connection:
            states = stream_store.read_positions(connection)
        return sorted({user for (user, _), state in states.items() if state.open is not None})

    async def _deliver(self, work: Work) -> None:
        await self._work.send(value=work)

    async def _execute(self, stream: Any) -> None:
        async for work in stream:
            await self.executing.handle(work)

    async def _failed(self, _agent: Any, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _services(self, stop: asyncio.Event) -> None:
        """Run all services until the stop; one that fails ends the process with its error."""
        parts: list[Coroutine[Any, Any, Any]] = [
            self.feed.run(),
            self.snapshots.run(),
            self.followed.run(),
            self.priming.run(),
            self.missed.run(),
            self.health.run(),
            self.health.measure(),
            self.canary.send(),
            self.canary.measure(),
            self.silence.run(),
            self.journal.run(),
            self.executing.run(),
            self.executor.tell(),
            self.switches.run(),
            self._watch_end(),
        ]
        await run_together(parts, stop, self._failure)

    async def _watch_end(self) -> None:
        """Notice that a recording is over, and everything it brought is decided and written."""
        feed = self._world.feed
        if isinstance(feed, EmulatedFeed):
            await feed.ended.wait()
            await self.feed.emptied()
            while self.followed.handled_seq < self.inputs.sent_seq:
                await asyncio.sleep(POLL_S)
            self.health.has_ended = True
            log.info("the recording has ended", inputs=self.inputs.sent_seq + 1)
        await asyncio.Event().wait()
