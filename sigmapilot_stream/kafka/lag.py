"""How far a worker is behind the broker, partition by partition.

The broker is asked where a partition ends: a reader that is held up, because what it read is not decided on yet, does
not hear of what comes after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.ports import Clock
from sigmapilot_stream import topics
from sigmapilot_stream.kafka.links import place
from sigmapilot_stream.kafka.seat import Seat
from sigmapilot_stream.kafka.seats import Seats
from sigmapilot_stream.together import repeat

EVERY_S = 1.0
ANSWER_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lag:
    """Messages of a partition that are not decided on, and how long ago the newest that is was sent: 0 if none waits,
    None before the first."""

    messages: int
    seconds: float | None


class LagService:
    """Measures the partitions that this worker was assigned."""

    def __init__(self, link: AIOKafkaConsumer, seats: Seats, metrics: Metrics, clock: Clock) -> None:
        self.found: Mapping[str, Lag] = {}
        self._link = link
        self._seats = seats
        self._metrics = metrics
        self._clock = clock

    @property
    def messages(self) -> dict[str, int]:
        """Messages that wait, by partition."""
        return {name: lag.messages for name, lag in self.found.items()}

    async def run(self) -> None:
        """Measure until cancelled."""
        await repeat(self.look, EVERY_S)

    async def look(self) -> None:
        """Measure once. Where the broker does not answer nothing is known."""
        before, seats = self.found, dict(self._seats.seats)
        try:
            async with asyncio.timeout(ANSWER_S):
                self.found = await self._measured(seats) if seats else {}
        except (KafkaError, TimeoutError) as error:
            log.warning("the broker does not tell how much waits", reason=type(error).__name__)
            self.found = {}
        gauge = self._metrics.sigmapilot_consumer_lag
        for name in before.keys() - self.found.keys():
            gauge.remove(name)
        for name, lag in self.found.items():
            gauge.labels(name).set(lag.messages)

    async def _measured(self, seats: Mapping[int, Seat]) -> dict[str, Lag]:
        ends = await self._link.end_offsets([place(topics.FILLS, partition) for partition in seats])
        found = {}
        for partition, seat in seats.items():
            at = place(topics.FILLS, partition)
            handled = seat.offset if seat.offset is not None else await self._link.committed(at) or 0
            waiting = max(0, ends[at] - handled)
            found[seat.share.name] = Lag(waiting, self._seconds(seat) if waiting else 0.0)
        return found

    def _seconds(self, seat: Seat) -> float | None:
        return None if seat.sent_ms is None else max(0.0, (self._clock.now_ms() - seat.sent_ms) / 1000)
