"""Parts that run beside one another end together, with the error of the one that ended them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat, run_together


class Part:
    """Waits for nothing, and says when it was ended."""

    def __init__(self) -> None:
        self.has_ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.has_ended = True


async def failing() -> None:
    await asyncio.sleep(0)
    raise ValueError("it failed")


async def test_a_part_that_fails_ends_the_others_and_raises() -> None:
    other = Part()
    with pytest.raises(ValueError, match="it failed"):
        await run_together([other.run(), failing()], asyncio.Event(), asyncio.get_running_loop().create_future())
    assert other.has_ended


async def test_a_stop_ends_all_without_an_error() -> None:
    stop, other = asyncio.Event(), Part()
    asyncio.get_running_loop().call_soon(stop.set)
    await run_together([other.run()], stop, asyncio.get_running_loop().create_future())
    assert other.has_ended


async def test_an_agent_that_fails_ends_all_with_its_error() -> None:
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    other = Part()
    asyncio.get_running_loop().call_later(0.01, failure.set_exception, KeyError("an agent"))
    with pytest.raises(KeyError, match="an agent"):
        await run_together([other.run()], asyncio.Event(), failure)
    assert other.has_ended


async def test_looks_are_repeated_until_one_fails() -> None:
    looks = iter(range(3))

    async def look() -> None:
        if next(looks) == 2:
            raise ValueError("the third")

    with pytest.raises(ValueError, match="the third"):
        await repeat(look, 0.0)


async def test_a_database_that_is_down_gives_nothing_and_one_that_refuses_raises() -> None:
    def down() -> int:
        raise OperationalError("SELECT 1", None, Exception("no answer"))

    def refused() -> int:
        raise ProgrammingError("SELECT x", None, Exception("no such column"))

    assert await unless_down(lambda: 7, "nothing is read") == 7
    assert await unless_down(down, "nothing is read") is None
    with pytest.raises(ProgrammingError, match="no such column"):
        await unless_down(refused, "nothing is read")
