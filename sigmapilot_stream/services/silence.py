"""Notices agents that are silently dead: they have work, the database answers, and nothing is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat

SILENT_S = 60.0
"""So long nothing may move while something waits to be done, unless the database does not answer."""

LOOK_S = 0.5


class SilentAgentError(RuntimeError):
    """An agent has work, the database answers, and nothing is done: the process ends, to be started again."""


class Watched:
    """One agent: `done` counts what it did, `given` what it was given."""

    def __init__(self, name: str, done: Callable[[], int], given: Callable[[], int]) -> None:
        self.name = name
        self._done, self._given = done, given
        self._last = done()
        self._moved_at: float | None = None

    def is_silent(self, now: float) -> bool:
        """Whether it had work and did nothing of it for too long."""
        done = self._done()
        if self._moved_at is None or done != self._last or done >= self._given():
            self._last, self._moved_at = done, now
        return now - self._moved_at > SILENT_S


class SilenceWatch:
    """Watches the agents of a process. `seconds` is a clock that never jumps. An overloaded agent is slow and moves; a
    dead one does not."""

    def __init__(
        self, agents: Sequence[Watched], database: sa.Engine, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._agents = agents
        self._database = database
        self._seconds = seconds

    async def run(self) -> None:
        """Watch until cancelled. Raises SilentAgentError."""
        await repeat(self._look, LOOK_S)

    async def _look(self) -> None:
        now = self._seconds()
        # each of them is asked: one that is not looked at would be taken for moving later on
        silent = [agent.name for agent in self._agents if agent.is_silent(now)]
        if not silent:
            return
        if await unless_down(self._database_answers, "nothing is done meanwhile"):
            named = ", ".join(map(repr, silent))
            raise SilentAgentError(f"the agent {named} did nothing for {SILENT_S:g} s though it has work")

    def _database_answers(self) -> bool:
        with self._database.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
        return True


class Counted:
    """Counts what an agent was given and what it has done."""

    def __init__(self, name: str) -> None:
        self.given = 0
        self.done = 0
        self.watched = Watched(name, lambda: self.done, lambda: self.given)
