"""A record a minute that passes the whole path, so that an agent that is silently dead is noticed and restarted.

Journal, channel, decision step, commit, intents, paper account: the canary concerns none of them and touches all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.ports import Clock
from sigmapilot_stream.agents.decide import Decide
from sigmapilot_stream.decode import CANARY
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.inputs import Inputs
from sigmapilot_stream.retrying import DATABASE_ERRORS

EVERY_S = 60.0
SILENT_S = 60.0
"""So long nothing may move while something waits to be done, unless the database does not answer."""

LOOK_S = 0.5

log = structlog.get_logger(__name__)


class SilentAgentError(RuntimeError):
    """An agent has work, the database answers, and nothing is done: the process ends, to be started again."""


class Watched:
    """One agent: `done` counts what it did, `given` what it was given."""

    def __init__(self, name: str, done: Callable[[], int], given: Callable[[], int], now: float) -> None:
        self.name = name
        self._done, self._given = done, given
        self._last, self._moved_at = done(), now

    def is_silent(self, now: float) -> bool:
        """Whether it had work and did nothing of it for too long."""
        done = self._done()
        if done != self._last or done >= self._given():
            self._last, self._moved_at = done, now
        return now - self._moved_at > SILENT_S


class CanaryService:
    """Sends canaries, measures how old the last one that came through is, and watches that both agents move.

    `intended` counts the intents sent so far, `seconds` is a clock that never jumps. An overloaded agent is slow and
    moves; a dead one does not.
    """

    def __init__(
        self,
        inputs: Inputs,
        decide: Decide,
        executor: Executor,
        database: sa.Engine,
        clock: Clock,
        metrics: Metrics,
        intended: Callable[[], int],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inputs = inputs
        self._executor = executor
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._seconds = seconds
        self._sent_at: dict[int, float] = {}
        self._began_at = seconds()
        self._agents = (
            Watched("decide", lambda: decide.handled_seq, lambda: inputs.sent_seq, self._began_at),
            Watched("execute", lambda: executor.handled, intended, self._began_at),
        )
        self.passed = 0
        self.passed_ms: int | None = None
        self.took_s: float | None = None

    @property
    def age_s(self) -> float:
        """Seconds since the newest canary that came through was sent; since the start before the first."""
        return self._seconds() - self._began_at

    async def run(self) -> None:
        """Send and watch until cancelled. Raises SilentAgentError."""
        sending = asyncio.create_task(self._send(), name="canary")
        try:
            await self._watch(sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self) -> None:
        number = 0
        while True:
            number += 1
            self._sent_at[number] = self._seconds()
            # this waits where the channel is full: a canary that cannot get in is on its way all the same
            await self._inputs.submit([(CANARY, self._clock.now_ms(), b"%d" % number)])
            await asyncio.sleep(EVERY_S)

    async def _watch(self, sending: asyncio.Task[None]) -> None:
        while not sending.done():
            self._note_passed()
            self._metrics.sigmapilot_canary_age_seconds.set(self.age_s)
            now = self._seconds()
            silent = [agent.name for agent in self._agents if agent.is_silent(now)]
            if silent and await self._is_database_there():
                raise SilentAgentError(f"the agent {silent[0]!r} did nothing for {SILENT_S:g} s though it has work")
            await asyncio.sleep(LOOK_S)
        sending.result()

    def _note_passed(self) -> None:
        passed = self._executor.canary
        if passed > self.passed and passed in self._sent_at:
            self._began_at = self._sent_at[passed]
            self.passed, self.passed_ms, self.took_s = passed, self._clock.now_ms(), self.age_s
            self._metrics.sigmapilot_canary_seconds.observe(self.took_s)
            self._sent_at = {number: at for number, at in self._sent_at.items() if number > passed}

    async def _is_database_there(self) -> bool:
        return await asyncio.to_thread(self._database_answers)

    def _database_answers(self) -> bool:
        try:
            with self._database.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except DATABASE_ERRORS as error:
            log.warning("nothing is done while the database does not answer", reason=type(error).__name__)
            return False
        return True
