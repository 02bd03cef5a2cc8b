"""Partitions are given up together, within the time that the group waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sigmapilot_core.domain.engine.share import shares
from sigmapilot_stream import topics
from sigmapilot_stream.kafka import seats as module
from sigmapilot_stream.kafka.links import place
from sigmapilot_stream.kafka.seats import Seats


class Link:
    """A group member that only commits."""

    def __init__(self) -> None:
        self.offsets: dict[Any, int] = {}

    async def commit(self, offsets: dict[Any, int]) -> None:
        self.offsets.update(offsets)


class Taken:
    """A partition whose state is kept at once, or never."""

    def __init__(self, index: int, hangs: bool) -> None:
        self.share = shares(4)[index]
        self.is_left = False
        self._hangs = hangs
        self.others: list[Taken] = []
        self.refused_before = 0

    def refuse(self) -> None:
        self.is_left = True

    async def leave(self) -> int:
        self.refused_before = sum(other.is_left for other in self.others)
        if self._hangs:
            await asyncio.Event().wait()
        return 10 + self.share.index


async def test_partitions_whose_state_cannot_be_kept_hold_nobody_up_longer_than_one_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LEAVE_S", 0.2)

    async def nobody(*_: object) -> None:
        return None

    link = Link()
    parts: tuple[Any, ...] = (link, shares(4), None, nobody)
    found = Seats(*parts)
    taken = [Taken(index, hangs=index in (1, 2)) for index in range(4)]
    for index, seat in enumerate(taken):
        seat.others = taken
        found._seats[index] = seat  # type: ignore[assignment]
    started = asyncio.get_running_loop().time()
    await found.leave()
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert [seat.refused_before for seat in taken] == [4, 4, 4, 4], "nothing is decided any more while one is kept"
    assert found.seats == {}
    assert link.offsets == {place(topics.FILLS, 0): 10, place(topics.FILLS, 3): 13}
