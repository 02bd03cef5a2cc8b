"""One of several workers: decides for the partitions it is assigned, and knows neither venue nor account."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import SystemClock
from sigmapilot_core.adapters.metrics import Metrics, add_process_metrics
from sigmapilot_core.adapters.postgres.engine import BUSY_S, create_engine
from sigmapilot_core.adapters.postgres.migrate import require_mode
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.engine.share import shares
from sigmapilot_stream import app as faust_app
from sigmapilot_stream import web
from sigmapilot_stream.agents.decide import Channels
from sigmapilot_stream.kafka import links
from sigmapilot_stream.kafka.groups import ACCOUNT, workers_group
from sigmapilot_stream.kafka.lag import LagService
from sigmapilot_stream.kafka.recall import running_code
from sigmapilot_stream.kafka.reports import Reports
from sigmapilot_stream.kafka.seat import CHECKPOINT_EVERY_S, Place
from sigmapilot_stream.kafka.seats import Delivery, Seats
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.readied import ready_to_decide
from sigmapilot_stream.services.silence import Counted, SilenceWatch
from sigmapilot_stream.together import run_together

WAITING = 2
"""Batches that may wait for the agent of a partition."""

log = structlog.get_logger(__name__)


class WorkerRole:
    """Everything of one worker process. `name` is how the group and the database know it."""

    def __init__(
        self, settings: Settings, name: str, port: int, checkpoint_every_s: float = CHECKPOINT_EVERY_S
    ) -> None:
        broker = settings.broker_url
        assert broker is not None, "a worker without a broker"
        self._url = url = broker.get_secret_value()
        self.registry = CollectorRegistry()
        add_process_metrics(self.registry, "hl_stream")
        metrics, clock = Metrics(self.registry), SystemClock()
        self._database = create_engine(settings.database_url.get_secret_value(), trusted_s=BUSY_S)
        self._port = port
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producer = links.producer(url, name)
        self._consumer = links.consumer(url, workers_group(settings), name)
        self._mode = str(settings.mode)
        publish = links.Publisher(self._producer)
        observer = Observer(metrics, settings.params)
        all_shares = shares(settings.stream_partitions)
        place = Place(
            self._database, Channels(publish, publish, publish), observer, ACCOUNT, name, running_code(), clock.now_ms,
            checkpoint_every_s,
        )  # fmt: skip
        self.app = faust_app.local_app(settings.mode_dir / f"faust-{name}")
        self._channels = [faust_app.local_channel(self.app, WAITING) for _ in all_shares]
        self._counted = [Counted(f"decide {share.name}") for share in all_shares]
        self.seats = Seats(self._consumer, all_shares, place, self._deliver)
        self.lags = LagService(self._consumer, self.seats, metrics, clock)
        limits = settings.params.freshness
        self.reports = Reports(self._database, self.seats, self.lags, name, metrics, clock, limits)
        self.silence = SilenceWatch([counted.watched for counted in self._counted], self._database)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, then give the partitions up in order. Raises what made an agent fail."""
        for partition, channel in enumerate(self._channels):
            faust_app.local_agent(self.app, channel, f"decide-{partition}", self._consume, self._failed)
        try:
            await asyncio.to_thread(self._check_mode)
            await faust_app.start(self.app)
            health = web.Health(self.reports.missing, lambda: self.lags.messages)
            async with web.serving(health, self.registry, self._port):
                # whoever comes first: a member that finds no topic is given nothing
                await links.declare(self._url, len(self._channels))
                await self._producer.start()
                await self._consumer.start()
                services = (
                    self.seats.run(), self.lags.run(), self.reports.run(), self.silence.run(), ready_to_decide(),
                )  # fmt: skip
                await run_together(services, stop, self._failure)
                await self.seats.leave()
        finally:
            await self._consumer.stop()
            await self._producer.stop()
            await faust_app.stop(self.app)
            self._database.dispose()

    async def _consume(self, stream: Any) -> None:
        async for delivery in stream:
            await self.seats.handle(delivery)
            self._counted[delivery.seat.share.index].done += 1

    async def _deliver(self, partition: int, delivery: Delivery) -> None:
        await self._channels[partition].send(value=delivery)
        self._counted[partition].given += 1

    async def _failed(self, _agent: Any, error: BaseException) -> None:
        """An agent failed: the process ends and begins anew from what is committed."""
        if not self._failure.done():
            self._failure.set_exception(error)

    def _check_mode(self) -> None:
        with self._database.connect() as connection:
            require_mode(connection, self._mode)
