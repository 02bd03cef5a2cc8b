"""How the parts of a process run beside one another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, NoReturn


async def run_together(
    parts: Iterable[Coroutine[Any, Any, Any]], stop: asyncio.Event, failure: asyncio.Future[None]
) -> None:
    """Run parts until the stop, until one of them ends or until an agent fails; then end the others and wait for them.

    Raises what a part ended with, or what the agent failed with.
    """
    tasks = [asyncio.create_task(part) for part in (*parts, stop.wait())]
    try:
        done, _ = await asyncio.wait([*tasks, failure], return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def repeat(look: Callable[[], Awaitable[object]], every_s: float) -> NoReturn:
    """Look, wait, and look again, until cancelled."""
    while True:
        await look()
        await asyncio.sleep(every_s)
