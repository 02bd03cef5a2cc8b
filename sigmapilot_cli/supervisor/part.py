"""One supervised process: started, watched, restarted after a pause, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from enum import StrEnum

from sigmapilot_cli.supervisor.guard_link import GuardLink
from sigmapilot_cli.supervisor.log_file import RotatingLog
from sigmapilot_cli.supervisor.probes import is_ready
from sigmapilot_cli.supervisor.spec import LogReady, Pace, ProcessSpec
from sigmapilot_core.adapters.child_process import die_with_parent

_KILL_WAIT_S = 3.0
_TAIL_CHARACTERS = 4096


class PartState(StrEnum):
    """Where a part stands; `unready` was ready and does not answer now."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    PAUSING = "pausing"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Part:
    """Runs one `ProcessSpec` until `stop`. `settled` is set once it is first ready or first degraded."""

    def __init__(
        self, spec: ProcessSpec, log: RotatingLog, pace: Pace, guard: GuardLink, changed: Callable[[Part], None]
    ) -> None:
        self.spec = spec
        self.state = PartState.WAITING
        self.pid: int | None = None
        self.failures = 0
        self.restarts = 0
        self.last_end = ""
        self.settled = asyncio.Event()
        self._log = log
        self._pace = pace
        self._guard = guard
        self._changed = changed
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._matched = False
        self._tail = ""

    async def run(self) -> None:
        """Keep the process running until `stop`."""
        while not self._stop.is_set():
            self.last_end = await self._run_once()
            if self._stop.is_set():
                break
            self.failures += 1
            self.restarts += 1
            degraded = self.failures >= self._pace.failures_until_degraded
            self._become(PartState.DEGRADED if degraded else PartState.PAUSING)
            await _first(self._stop, timeout_s=self._pace.pause_s(self.failures))
        self._become(PartState.STOPPED)
        self._log.close()

    def stop(self) -> None:
        """Ask for an orderly end; `run` returns when the process is gone."""
        self._stop.set()

    def hurry(self) -> None:
        """Ask for an immediate end."""
        self._hurry.set()
        self._stop.set()

    async def _run_once(self) -> str:
        """One life of the process; returns how it ended."""
        self._become(PartState.DEGRADED if self.state is PartState.DEGRADED else PartState.STARTING)
        try:
            if self.spec.before_start is not None:
                await asyncio.to_thread(self.spec.before_start)
            process, output = await self._spawn()
        except (OSError, RuntimeError) as error:  # what `before_start` may raise; see ProcessSpec
            return f"cannot start: {error}"
        self.pid = process.pid
        self._guard.add(process.pid, self.spec.death_signal)
        copying = asyncio.create_task(self._copy(output))
        try:
            reason = await self._watch(process)
            if process.returncode is None:
                if self._stop.is_set():
                    self._become(PartState.STOPPING)
                await self._end(process)
            return reason or _how_it_ended(process.returncode)
        finally:
            _signal_group(process.pid, signal.SIGKILL)  # whatever it started and left behind
            # something it started may have left its group and hold the pipe open for as long as it likes
            await asyncio.wait([copying], timeout=_KILL_WAIT_S)
            copying.cancel()
            for path in self.spec.litter:
                path.unlink(missing_ok=True)
            self._guard.remove(process.pid)
            self.pid = None

    async def _spawn(self) -> tuple[Process, asyncio.StreamReader]:
        """Start the process with its output in a pipe of our own.

        With a pipe of asyncio's, `wait` (Python 3.11) would not return while anything the process has started still
        holds the other end.
        """
        self._matched, self._tail = False, ""
        ours, theirs = os.pipe()
        reader = asyncio.StreamReader()
        pipe = os.fdopen(ours, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self.spec.env),
                cwd=self.spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=die_with_parent(self.spec.death_signal),
                **self.spec.spawn,
            )
        finally:
            os.close(theirs)  # the read end closes itself when the last writer is gone
        return process, reader

    async def _watch(self, process: Process) -> str:
        """Until the process ended (empty answer), hangs or does not become ready (the reason), or `stop`."""
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(self._stop.wait())
        started = last_ready = ready_since = time.monotonic()
        was_ready = False
        try:
            while True:
                pause = self._pace.watch_s if self.state is PartState.READY else self._pace.probe_s
                await asyncio.wait({ended, stopped}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if ended.done() or stopped.done():
                    return ""
                ready = await is_ready(self.spec.ready, self._matched, self._pace.probe_timeout_s)
                now = time.monotonic()
                if ready:
                    ready_since = ready_since if was_ready else now
                    was_ready, last_ready = True, now
                    self._note_ready(now - ready_since)
                elif was_ready and now - last_ready > self.spec.hang_s:
                    return f"no answer for {self.spec.hang_s:g} s"
                elif not was_ready and now - started > self.spec.start_timeout_s:
                    return f"not ready within {self.spec.start_timeout_s:g} s"
                elif self.state is PartState.READY:
                    self._become(PartState.UNREADY)
        finally:
            stopped.cancel()
            if not ended.done():
                ended.cancel()

    def _note_ready(self, for_s: float) -> None:
        if for_s >= self._pace.stable_s:
            self.failures = 0
        if self.state is not PartState.READY:
            self._become(PartState.READY)

    async def _end(self, process: Process) -> None:
        """Ask, then insist: stop signal, kill signal, SIGKILL; each waits, and `hurry` skips the first."""
        steps = [(self.spec.stop_signal, self.spec.stop_timeout_s), (self.spec.kill_signal, _KILL_WAIT_S)]
        for number, (how, patience_s) in enumerate(steps):
            if number == 0 and self._hurry.is_set():
                continue
            _signal_one(process, how)
            gone = asyncio.create_task(process.wait())
            hurry = asyncio.create_task(self._hurry.wait())
            waited_for = {gone, hurry} if number == 0 else {gone}
            await asyncio.wait(waited_for, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if process.returncode is not None:
                return
            gone.cancel()
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()

    async def _copy(self, output: asyncio.StreamReader) -> None:
        while chunk := await output.read(65_536):
            self._log.write(chunk)
            if isinstance(self.spec.ready, LogReady) and not self._matched:
                self._tail = self._tail[-_TAIL_CHARACTERS:] + chunk.decode(errors="replace")
                self._matched = self.spec.ready.pattern.search(self._tail) is not None

    def _become(self, state: PartState) -> None:
        self.state = state
        if state in (PartState.READY, PartState.DEGRADED):
            self.settled.set()
        self._changed(self)


async def _first(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for the event, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def _signal_one(process: Process, how: signal.Signals) -> None:
    try:
        process.send_signal(how)
    except ProcessLookupError:
        return


def _signal_group(group: int, how: signal.Signals) -> None:
    try:
        os.killpg(group, how)
    except (ProcessLookupError, PermissionError):
        return


def _how_it_ended(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
