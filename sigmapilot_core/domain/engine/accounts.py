"""What the engine holds of one trader: his positions, fills that wait for priming, and his recent past."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sigmapilot_core.domain.consensus.votes import TraderState
from sigmapilot_core.domain.events import ZERO, Fill
from sigmapilot_core.domain.snapshot import PoolMember
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.episodes import EpisodeState
from sigmapilot_core.domain.venue import Position

TRAIL_MS = 60_000
SLACK_MS = 2_000
"""A position the ledger held within this time of a snapshot's instant agrees with it: whether that instant is a block's
time or the server's clock is not documented."""
MAX_WAITING = 5_000


@dataclass(slots=True)
class Seat:
    """One (trader, coin). Fills at or before `since_ms` are contained in the state.

    `trail` holds (time, position after) of the last minute, `trail_base` the position before its first entry, known
    to have been held from `trail_from_ms` on.
    """

    user: str
    coin: str
    state: EpisodeState
    since_ms: int
    votes: TraderState = field(default_factory=TraderState)
    trail: deque[tuple[int, Decimal]] = field(default_factory=deque)
    trail_base: Decimal = ZERO
    trail_from_ms: int = 0

    @property
    def position(self) -> Decimal:
        """Signed position now."""
        return self.state.ledger.position

    def moved(self, time_ms: int, position: Decimal) -> None:
        """A fill led to this position."""
        trail = self.trail
        trail.append((time_ms, position))
        while trail[0][0] < time_ms - TRAIL_MS:
            self.trail_from_ms, self.trail_base = trail.popleft()

    def restarted(self, as_of_ms: int) -> None:
        """The state was set as of an instant: older fills are in it, the recent past before its last fill is not
        known.
        """
        self.since_ms = max(self.since_ms, as_of_ms)
        self.trail.clear()
        self.trail_base, self.trail_from_ms = self.position, max(as_of_ms, self.state.ledger.time_ms)

    def position_at(self, time_ms: int) -> Decimal:
        """Position the ledger held at an instant of the trail."""
        held = self.trail_base
        for at_ms, position in self.trail:
            if at_ms <= time_ms:
                held = position
        return held

    def positions_around(self, time_ms: int) -> Iterable[Decimal]:
        """Every position the ledger held within `SLACK_MS` of an instant."""
        yield self.position_at(time_ms - SLACK_MS)
        for at_ms, position in self.trail:
            if time_ms - SLACK_MS < at_ms <= time_ms + SLACK_MS:
                yield position

    def agrees(self, position: Decimal, as_of_ms: int, sz_decimals: int) -> bool:
        """Whether the ledger held this position around the instant; True where the trail does not reach back."""
        if as_of_ms - SLACK_MS < self.trail_from_ms:
            return True
        return any(
            ledger.is_same_position(held, position, sz_decimals) and bool(held) == bool(position)
            for held in self.positions_around(as_of_ms)
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A fill of an account that is not primed yet."""

    fill: Fill
    received_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What the venue said an account holds; compared with the ledger a little later, when the feed has caught up."""

    positions: dict[str, Position]
    as_of_ms: int
    due_ms: int


@dataclass(slots=True)
class Trader:
    """One followed account. `member` is set while the trader is in the pool; `is_leaving` when it is followed only
    until its open episodes end. `lost_until_ms` is the newest fill that was dropped while waiting.
    """

    address: str
    is_primed: bool = False
    primed_ms: int = 0
    is_leaving: bool = False
    member: PoolMember | None = None
    seats: dict[str, Seat] = field(default_factory=dict)
    waiting: deque[Waiting] = field(default_factory=deque)
    lost_until_ms: int = 0
    claim: Claim | None = None

    def wait(self, item: Waiting) -> None:
        """Keep a fill until the account is primed; beyond the bound the oldest is lost."""
        if len(self.waiting) >= MAX_WAITING:
            self.lost_until_ms = max(self.lost_until_ms, self.waiting.popleft().fill.time_ms)
        self.waiting.append(item)

    def seat(self, coin: str) -> Seat:
        """The seat in a coin; a primed account without one was flat there."""
        found = self.seats.get(coin)
        if found is None:
            state = EpisodeState(ledger.flat(self.address, coin, self.primed_ms))
            found = Seat(self.address, coin, state, self.primed_ms, trail_from_ms=self.primed_ms)
            self.seats[coin] = found
        return found

    @property
    def last_fill_ms(self) -> int:
        """Exchange time of the newest fill that was applied."""
        return max((seat.state.ledger.time_ms for seat in self.seats.values()), default=0)

    @property
    def has_open_episode(self) -> bool:
        """Whether an episode of the trader is open in any coin."""
        return any(seat.state.open is not None for seat in self.seats.values())
