"""Who was ever on the leaderboard, and who is gone: dead and vanished traders stay in every figure (spec 1.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.params import DAY_MS

Ints = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Listing:
    """First and last daily leaderboard with each address of a record up to an instant (`NEVER`: none), by position;
    `last_board_ms` is the last one there is."""

    first_ms: Ints
    last_ms: Ints
    last_board_ms: int

    @property
    def is_listed(self) -> NDArray[np.bool_]:
        """Whoever was on a leaderboard once."""
        return self.first_ms != NEVER

    @property
    def is_vanished(self) -> NDArray[np.bool_]:
        """Whoever was on one, and is not on the last."""
        return self.is_listed & (self.last_ms < self.last_board_ms)


@dataclass(frozen=True, slots=True)
class Survivorship:
    """How many traders were ever listed up to the end of the tests, how many of those are gone, and what that hides.

    `liquidated` counts those with a liquidation, `gone` is whoever vanished or was liquidated. `everybody_r` is the
    mean R of copying all of them, each trader counting the same; `survivors_r` that of those who are left, which is
    what a look at today's leaderboard would show.
    """

    listed: int
    vanished: int
    liquidated: int
    gone: int
    copies_of_gone: int
    everybody_r: float | None
    survivors_r: float | None


def listing(record: VenueRecord, until_ms: int) -> Listing:
    """Looks at each midnight's leaderboard of [start, until)."""
    index = record.index_of
    first, last = np.full(len(index), NEVER), np.full(len(index), NEVER)
    last_board_ms = record.start_ms
    midnight = -(-record.start_ms // DAY_MS) * DAY_MS
    for at_ms in range(midnight, until_ms, DAY_MS):
        rows = record.board(at_ms)
        if rows is None:
            continue
        users = [index[row.address] for row in rows if row.address in index]
        first[users] = np.minimum(first[users], at_ms)
        last[users] = last_board_ms = at_ms
    return Listing(first, last, last_board_ms)


def survivorship(
    listed: Listing, liquidated: frozenset[int], user: Ints, result_r: NDArray[np.float64]
) -> Survivorship:
    """`user` and `result_r` are the copied openings of everybody who was listed by then."""
    dead = np.isin(np.arange(len(listed.first_ms)), list(liquidated)) & listed.is_listed
    gone = listed.is_vanished | dead
    of_gone = gone[user]
    return Survivorship(
        listed=int(listed.is_listed.sum()),
        vanished=int(listed.is_vanished.sum()),
        liquidated=int(dead.sum()),
        gone=int(gone.sum()),
        copies_of_gone=int(of_gone.sum()),
        everybody_r=_mean_of_traders(user, result_r),
        survivors_r=_mean_of_traders(user[~of_gone], result_r[~of_gone]),
    )


def _mean_of_traders(user: Ints, result_r: NDArray[np.float64]) -> float | None:
    """Mean over traders of the mean of each; None without any."""
    if not user.size:
        return None
    _, at, count = np.unique(user, return_inverse=True, return_counts=True)
    return float((np.bincount(at, weights=result_r) / count).mean())
