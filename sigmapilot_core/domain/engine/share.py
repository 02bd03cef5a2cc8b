"""Which partition a coin belongs to, when several engines share the coins.

The number of partitions divides the number of hash chains, and a coin's partition follows from its chain: every chain
has one writer, so its rows stand in the order of that partition's inputs, whoever the worker is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT, chain_of

PARTITION_COUNTS = tuple(count for count in range(1, CHAIN_COUNT + 1) if CHAIN_COUNT % count == 0)
_NAME = re.compile(r"(?P<index>\d{1,2})-of-(?P<count>\d{1,2})")


def partition_of(coin: str, count: int) -> int:
    """Partition of a coin among `count`: its chain modulo the count."""
    return chain_of(coin) % count


@dataclass(frozen=True, slots=True)
class Share:
    """The coins of partition `index` of `count`. Errors: ValueError for a count that does not divide the chains."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count not in PARTITION_COUNTS or not 0 <= self.index < self.count:
            raise ValueError(f"partition {self.index} of {self.count}; allowed counts are {PARTITION_COUNTS}")

    def __contains__(self, coin: object) -> bool:
        return isinstance(coin, str) and partition_of(coin, self.count) == self.index

    @property
    def name(self) -> str:
        """Name of the partition: of its journal, its progress, and part of each decision's id. Another count is another
        division of the coins and so another name."""
        return f"{self.index}-of-{self.count}"


def share_of(name: str) -> Share | None:
    """The share that a partition's name says; None for the one partition of a process that decides alone."""
    found = _NAME.fullmatch(name)
    return None if found is None else Share(int(found["index"]), int(found["count"]))


def shares(count: int) -> tuple[Share, ...]:
    """All partitions of a count."""
    return tuple(Share(index, count) for index in range(count))
