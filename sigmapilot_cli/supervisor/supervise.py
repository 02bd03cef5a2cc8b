"""Starts a plan in order, answers signals, stops it in reverse order."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from sigmapilot_cli.errors import EXIT_FAILED, EXIT_TIMEOUT, CommandError
from sigmapilot_cli.supervisor.guard_link import GuardLink
from sigmapilot_cli.supervisor.log_file import RotatingLog, last_lines
from sigmapilot_cli.supervisor.part import Part, PartState
from sigmapilot_cli.supervisor.spec import Pace, ProcessSpec, Step

Work = Callable[[], Awaitable[int]]


class Supervisor:
    """Runs a plan once.

    `say` gets one line for each thing a person should know, `when_up` once everything has started; `state_file` has
    what runs, as JSON.
    """

    def __init__(
        self,
        plan: Sequence[ProcessSpec | Step],
        logs_dir: Path,
        state_file: Path,
        say: Callable[[str], None],
        header: Mapping[str, object] | None = None,
        pace: Pace | None = None,
        when_up: str = "",
    ) -> None:
        self._plan = plan
        self._logs_dir = logs_dir
        self._state_file = state_file
        self._say = say
        self._header = dict(header or {})
        self._pace = pace or Pace()
        self._when_up = when_up
        self._parts: list[Part] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._expired = False
        self._seen: dict[str, PartState] = {}
        self._started_at = time.monotonic()

    async def run(self, work: Work | None = None, timeout_s: float | None = None) -> int:
        """Start everything, then do `work` (or wait for a signal), then stop everything.

        Returns the exit code of `work`; without work 0 after a signal; 3 when start and work together take longer
        than `timeout_s`. A signal cancels the work, which may still answer with an exit code.

        Raises:
            CommandError: a required part or a step failed; what ran is stopped before it is raised.
        """
        self._listen()
        guard = GuardLink()
        expiry = asyncio.get_running_loop().call_later(timeout_s, self._expire, timeout_s) if timeout_s else None
        try:
            await self._start_all(guard)
            self._say_up()
            done = await self._do(work) if work is not None and not self._stop.is_set() else await self._wait()
            return EXIT_TIMEOUT if self._expired else done
        finally:
            if expiry is not None:
                expiry.cancel()
            await self._stop_all()
            guard.close()
            self._deafen()

    def request_stop(self) -> None:
        """First call: stop in order. Second call: stop at once."""
        if self._stop.is_set():
            for part in self._parts:
                part.hurry()
            self._say("stopping at once")
            return
        self._stop.set()
        self._say("stopping in order; once more stops at once")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(how, self.request_stop)

    def _deafen(self) -> None:
        loop = asyncio.get_running_loop()
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(how)

    async def _start_all(self, guard: GuardLink) -> None:
        for item in self._plan:
            if self._stop.is_set():
                return
            if isinstance(item, Step):
                self._say(f"{item.name} ...")
                await asyncio.to_thread(item.run)
                continue
            part = self._start(item, guard)
            if item.awaited or item.required:
                await self._settled(part)
        for part in self._parts:
            await self._settled(part)

    def _start(self, spec: ProcessSpec, guard: GuardLink) -> Part:
        log = RotatingLog(self._logs_dir / f"{spec.name}.log")
        part = Part(spec, log, self._pace, guard, self._part_changed)
        self._parts.append(part)
        task = asyncio.create_task(part.run(), name=spec.name)
        # a part's task ends before the stop only by a mistake in it; that must not go unseen
        task.add_done_callback(lambda _: self._stop.set())
        self._tasks.append(task)
        return part

    async def _settled(self, part: Part) -> None:
        """Until the part is ready or degraded, or the stop."""
        waits = [asyncio.create_task(part.settled.wait()), asyncio.create_task(self._stop.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if part.state is PartState.DEGRADED and part.spec.required:
            path = self._logs_dir / f"{part.spec.name}.log"
            last = (last_lines(path, 1) or ["nothing"])[0]
            raise CommandError(f"{part.spec.name} does not start: {part.last_end}; it last said: {last} (log: {path})")

    def _say_up(self) -> None:
        if self._stop.is_set() or not self._when_up:
            return
        degraded = ", ".join(part.spec.name for part in self._parts if part.state is PartState.DEGRADED)
        self._say(self._when_up + (f"; degraded: {degraded}" if degraded else ""))

    async def _wait(self) -> int:
        await self._stop.wait()
        return 0

    async def _do(self, work: Work) -> int:
        doing = asyncio.ensure_future(work())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
        return EXIT_FAILED if doing.cancelled() else doing.result()

    def _expire(self, timeout_s: float) -> None:
        self._expired = True
        self._stop.set()
        self._say(f"not done within {timeout_s:g} s")

    async def _stop_all(self) -> None:
        self._stop.set()
        pairs = reversed(list(zip(self._parts, self._tasks, strict=True)))
        for _, group in groupby(pairs, key=lambda pair: pair[0].spec.stop_group or pair[0].spec.name):
            ending = list(group)
            for part, _ in ending:
                part.stop()
            await asyncio.wait([task for _, task in ending])
        self._state_file.unlink(missing_ok=True)
        for task in self._tasks:
            task.result()

    def _part_changed(self, part: Part) -> None:
        name, state = part.spec.name, part.state
        if self._seen.get(name) is not state:
            self._tell(part)
        self._seen[name] = state
        self._write_state()

    def _tell(self, part: Part) -> None:
        name = part.spec.name
        if part.state is PartState.READY:
            self._say(f"{name} ready ({time.monotonic() - self._started_at:.1f} s)")
        elif part.state is PartState.PAUSING:
            pause_s = self._pace.pause_s(part.failures)
            self._say(f"{name} {part.last_end}; next start in {pause_s:g} s (failure {part.failures})")
        elif part.state is PartState.DEGRADED:
            self._say(f"{name} degraded: {part.last_end} ({part.failures} failures); log: {self._logs_dir / name}.log")
        elif part.state is PartState.UNREADY:
            self._say(f"{name} does not answer")
        elif part.state is PartState.STOPPED:
            self._say(f"{name} stopped")

    def _write_state(self) -> None:
        rows = [
            {
                "name": part.spec.name,
                "state": str(part.state),
                "pid": part.pid,
                "ports": list(part.spec.ports),
                "restarts": part.restarts,
                "last_end": part.last_end,
            }
            for part in self._parts
        ]
        draft = self._state_file.with_suffix(".new")
        draft.write_text(json.dumps({**self._header, "parts": rows}))
        draft.replace(self._state_file)
