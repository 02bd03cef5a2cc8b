"""The emulator's port: always loopback, one application, nothing left behind when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from sigmapilot_core.adapters.emulator.routes import application
from sigmapilot_core.adapters.emulator.service import Emulator

HOST = "127.0.0.1"
_SHUTDOWN_S = 2.0
_START_S = 30.0
T = TypeVar("T")


@asynccontextmanager
async def serving(emulator: Emulator) -> AsyncIterator[str]:
    """Serve an emulator and give its base URL; at the end everything is closed."""
    runner = web.AppRunner(
        application(emulator), access_log=None, shutdown_timeout=_SHUTDOWN_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, emulator.config.port)
        await site.start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await emulator.close()
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """An emulator in a thread of its own."""

    url: str
    emulator: Emulator
    loop: asyncio.AbstractEventLoop

    def call(self, work: Callable[[Emulator], Coroutine[Any, Any, T]]) -> T:
        """Run something on the emulator's loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work(self.emulator), self.loop).result(_START_S)

    def advance(self, to_ms: int) -> int:
        """Move a stepped clock."""
        return self.call(lambda emulator: emulator.advance(to_ms))


@contextmanager
def in_thread(build: Callable[[], Emulator], begin: Callable[[Emulator], None]) -> Iterator[RunningEmulator]:
    """Serve an emulator from a thread with its own loop, for blocking clients such as the SDK.

    `build` and `begin` run on that loop; `begin` opens the emulator with its source.
    """
    started: Future[RunningEmulator] = Future()
    stop = asyncio.Event()

    async def main() -> None:
        emulator = build()
        async with serving(emulator) as url:
            begin(emulator)
            started.set_result(RunningEmulator(url, emulator, asyncio.get_running_loop()))
            await stop.wait()

    with ThreadPoolExecutor(1, "emulator") as pool:
        ended = pool.submit(asyncio.run, main())
        both: tuple[Future[Any], ...] = (started, ended)
        wait(both, _START_S, FIRST_COMPLETED)
        if not started.done():
            ended.result(0)
        running = started.result(0)
        try:
            yield running
        finally:
            running.loop.call_soon_threadsafe(stop.set)
            ended.result(_START_S)
