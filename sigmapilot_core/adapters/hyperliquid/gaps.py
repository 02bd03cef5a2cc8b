"""Each trade once, and no silent hole: dedupe, history and gap detection per coin (spec section 3.2). No I/O.

After every subscribe the venue replays the most recent trades with its answer. That frame is history, never live. If
it reaches back to what we had seen before, nothing was missed; if it does not, there is a gap. A coin that never traded
has no replay: its first frame is live if all its trades are clearly later than the venue's answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from sigmapilot_core.domain.events import Fill, Trade

REMEMBERED = 1000
"""Trades remembered per coin; the replay holds some tens."""

REPLAY_MARGIN_MS = 2000
"""How far our clock and the venue's may differ. Zero where both are virtual."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Trades of a coin after `from_ms` and before `to_ms` may be missing."""

    coin: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The trades of a frame that are new, whether they are history, and the gaps before them."""

    fresh: tuple[Trade, ...]
    duplicates: int
    is_history: bool
    gaps: tuple[Gap, ...]


class _Seen:
    """The last keys seen, and the latest instant."""

    __slots__ = ("_keys", "_order", "last_ms")

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()
        self._order: deque[Hashable] = deque()
        self.last_ms = -1

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def copied(self) -> _Seen:
        """The same as it is now; keys are values and need no copy, of which `deepcopy` would make one each."""
        found = _Seen()
        found._keys, found._order, found.last_ms = self._keys.copy(), self._order.copy(), self.last_ms
        return found

    def add(self, key: Hashable, time_ms: int) -> bool:
        """Remember a key; False if it was known."""
        if key in self._keys:
            return False
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > REMEMBERED:
            self._keys.discard(self._order.popleft())
        if time_ms > self.last_ms:
            self.last_ms = time_ms
        return True


@dataclass(slots=True)
class TradeIntake:
    """State of the dedupe over all coins and followed accounts. `is_whole` is false where what came before it began is
    not known, so that nobody can tell by it whether trades were missed."""

    _coins: dict[str, _Seen] = field(default_factory=dict)
    _users: dict[str, _Seen] = field(default_factory=dict)
    replay_margin_ms: int = REPLAY_MARGIN_MS
    is_whole: bool = True
    _awaiting: dict[str, int | None] = field(default_factory=dict)

    def remember(self, other: TradeIntake) -> None:
        """Know what another intake has seen, as it is now: the first replay then shows whether anything was missed."""
        self._coins = {coin: seen.copied() for coin, seen in other._coins.items()}
        self._users = {user: seen.copied() for user, seen in other._users.items()}

    def add(self, other: TradeIntake) -> None:
        """Know what another intake has seen as well; of what both know, as the other does."""
        self._coins.update(other._coins)
        self._users.update(other._users)

    def expect_history(self, coin: str) -> None:
        """A subscribe for this coin goes out: its next frame is history."""
        self._awaiting[coin] = None

    def answered(self, coin: str, received_ms: int) -> None:
        """The venue accepted the subscribe at this instant of our clock."""
        if coin in self._awaiting:
            self._awaiting[coin] = received_ms

    def take(self, trades: Iterable[Trade]) -> Taken:
        """Take one frame."""
        trades = tuple(trades)
        if not self._awaiting and trades and all(trade.coin == trades[0].coin for trade in trades):
            return self._take_live(trades[0].coin, trades)
        by_coin: dict[str, list[Trade]] = {}
        for trade in trades:
            by_coin.setdefault(trade.coin, []).append(trade)
        expected = self._awaiting.keys() & by_coin.keys()
        gaps = tuple(gap for coin in sorted(expected) if (gap := self._gap(coin, by_coin[coin])) is not None)
        is_history = any(self._is_replay(coin, by_coin[coin]) for coin in expected)
        for coin in expected:
            del self._awaiting[coin]
        fresh = [t for coin, found in by_coin.items() for t in found if self._is_new(coin, t)]
        total = sum(map(len, by_coin.values()))
        return Taken(tuple(fresh), total - len(fresh), is_history, gaps)

    def _take_live(self, coin: str, trades: tuple[Trade, ...]) -> Taken:
        """A frame of one coin while no replay is awaited: nearly every frame."""
        seen = self._coins.get(coin)
        if seen is None:
            seen = self._coins[coin] = _Seen()
        fresh = tuple([trade for trade in trades if seen.add((trade.time_ms, trade.tid), trade.time_ms)])
        return Taken(fresh, len(trades) - len(fresh), is_history=False, gaps=())

    def take_fills(self, user: str, fills: Iterable[Fill]) -> tuple[Fill, ...]:
        """The fills of one account's frame that are new."""
        seen = self._users.setdefault(user, _Seen())
        return tuple(f for f in fills if seen.add((f.time_ms, f.coin, f.tid), f.time_ms))

    def _is_replay(self, coin: str, trades: list[Trade]) -> bool:
        answered_ms = self._awaiting[coin]
        return answered_ms is None or min(t.time_ms for t in trades) <= answered_ms + self.replay_margin_ms

    def _is_new(self, coin: str, trade: Trade) -> bool:
        seen = self._coins.get(coin)
        if seen is None:
            seen = self._coins[coin] = _Seen()
        return seen.add((trade.time_ms, trade.tid), trade.time_ms)

    def _gap(self, coin: str, replay: list[Trade]) -> Gap | None:
        seen = self._coins.get(coin)
        if seen is None or any((t.time_ms, t.tid) in seen for t in replay):
            return None
        oldest = min(t.time_ms for t in replay)
        return None if oldest < seen.last_ms else Gap(coin, seen.last_ms, oldest)
