"""A bounded queue that can be closed: a full one slows the readers, a closed one is drained and then ends."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class MailboxClosed(Exception):
    """Nothing more goes in, or nothing more comes out."""


class Mailbox(Generic[T]):
    """Many producers, one consumer, one event loop."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; allowed is 1 or more.")
        self.capacity = capacity
        self._items: deque[T] = deque()
        self._changed_in = asyncio.Event()
        self._changed_out = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T) -> None:
        """Add an item, waiting while the box is full. MailboxClosed once closed."""
        while len(self._items) >= self.capacity and not self._closed:
            self._changed_out.clear()
            await self._changed_out.wait()
        if self._closed:
            raise MailboxClosed
        self._items.append(item)
        self._changed_in.set()

    async def get(self) -> T:
        """The oldest item, waiting for one. MailboxClosed once closed and empty."""
        while not self._items:
            if self._closed:
                raise MailboxClosed
            self._changed_in.clear()
            await self._changed_in.wait()
        item = self._items.popleft()
        self._changed_out.set()
        return item

    def close(self) -> None:
        """Refuse new items; what is inside can still be taken."""
        self._closed = True
        self._changed_in.set()
        self._changed_out.set()
