"""A record a minute that passes the whole path of every partition, so that one that is dead is noticed.

Journal, channel or broker, decision step, commit, intents, paper account: the canary concerns none of them and touches
all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import CANARY
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.together import repeat

EVERY_S = 60.0
LIMIT_S = 180.0
"""A partition that lets no canary through for so long is not at work."""

LOOK_S = 0.5


@dataclass(slots=True)
class Passed:
    """The newest canary that came through a partition: its number, when it was sent, when it came, how long it took.
    Before the first one, since when there has been none."""

    since: float
    number: int = 0
    at_ms: int | None = None
    took_s: float | None = None


class CanaryService:
    """Sends canaries, and measures for each partition how old the last one is that came through.

    `partitions` names them as the executor knows where its work comes from, and as metrics name them. `seconds` is a
    clock that never jumps.
    """

    def __init__(
        self,
        inputs: Submits,
        executor: Executor,
        partitions: Sequence[str],
        clock: Clock,
        metrics: Metrics,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inputs = inputs
        self._executor = executor
        self._clock = clock
        self._metrics = metrics
        self._seconds = seconds
        self._sent_at: dict[int, float] = {}
        self._last = 0
        self.passed = {name: Passed(seconds()) for name in partitions}

    def age_s(self, partition: str) -> float:
        """Seconds since the newest canary that came through a partition was sent; since the start before the first."""
        return self._seconds() - self.passed[partition].since

    @property
    def oldest(self) -> str:
        """The partition whose last canary is the oldest."""
        return max(self.passed, key=self.age_s)

    @property
    def lost(self) -> list[str]:
        """Partitions that let none through for too long."""
        return [name for name in self.passed if self.age_s(name) > LIMIT_S]

    async def send(self) -> None:
        """Send until cancelled. This waits where the channel is full: a canary that cannot get in is on its way all
        the same."""
        self.passed = {name: Passed(self._seconds()) for name in self.passed}
        await repeat(self._send, EVERY_S)

    async def measure(self) -> None:
        """Measure until cancelled."""
        await repeat(self._measure, LOOK_S)

    async def _send(self) -> None:
        # numbers go on over a restart, as inputs do: one of a process before is not taken for one of this
        self._last = number = max(self._inputs.sent_seq + 1, self._last + 1)
        self._sent_at[number] = self._seconds()
        await self._inputs.submit([(CANARY, self._clock.now_ms(), b"%d" % number)])

    async def _measure(self) -> None:
        for name, passed in self.passed.items():
            number = self._executor.canaries.get(name, 0)
            if number > passed.number and number in self._sent_at:
                passed.number, passed.since = number, self._sent_at[number]
                passed.at_ms, passed.took_s = self._clock.now_ms(), self.age_s(name)
                self._metrics.sigmapilot_canary_seconds.observe(passed.took_s)
            self._metrics.sigmapilot_canary_age_seconds.labels(name).set(self.age_s(name))
        slowest = min(passed.number for passed in self.passed.values())
        self._sent_at = {number: at for number, at in self._sent_at.items() if number > slowest}
