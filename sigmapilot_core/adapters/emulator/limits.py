"""The venue's request limits: weight per network address and actions per account (spec section 4.1, 4.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from sigmapilot_core.adapters.emulator.config import LimitConfig

Seconds = Callable[[], float]
"""A monotonic clock in seconds."""

_WINDOW_S = 60.0


class SlidingWindow:
    """Sum of weights within the last minute; `take` refuses what would exceed the capacity."""

    def __init__(self, capacity: int, seconds: Seconds, window_s: float = _WINDOW_S) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._window_s = window_s
        self._entries: deque[tuple[float, int]] = deque()
        self._used = 0

    @property
    def used(self) -> int:
        """Weight spent within the window that ends now."""
        horizon = self._seconds() - self._window_s
        while self._entries and self._entries[0][0] <= horizon:
            self._used -= self._entries.popleft()[1]
        return self._used

    def take(self, weight: int) -> bool:
        """Spend the weight and answer True, or leave the window as it is and answer False."""
        if self.used + weight > self._capacity:
            return False
        self.charge(weight)
        return True

    def charge(self, weight: int) -> None:
        """Spend weight that is only known after the answer, even beyond the capacity."""
        if weight:
            self._entries.append((self._seconds(), weight))
            self._used += weight


def too_many_requests(used: int, allowed: int, volume: Decimal) -> str:
    """The venue's refusal of an account that has sent too many actions."""
    return (
        f"Too many cumulative requests sent ({used} > {allowed}) for cumulative volume traded ${volume:.2f}. "
        "Place taker orders to free up 1 request per USDC traded."
    )


class AddressLimiter:
    """Actions per account: a start buffer and one more per USDC traded; when spent, one action per interval.

    A refused action neither consumes nor restarts the interval (measured by others, spec section 4.2). Cancels have
    their own ceiling: min(limit + 100 000, 2 x limit).
    """

    def __init__(self, config: LimitConfig, seconds: Seconds) -> None:
        self._config = config
        self._seconds = seconds
        self._used: dict[str, int] = {}
        self._last_extra: dict[str, float] = {}

    def used(self, account: str) -> int:
        """Actions counted since the account exists."""
        return self._used.get(account, 0)

    def cap(self, volume: Decimal) -> int:
        """Actions an account with this traded volume may send in total."""
        return self._config.address_buffer + int(volume)

    def refuse(self, account: str, volume: Decimal, actions: int, is_cancel: bool) -> str | None:
        """Count `actions` for the account; the venue's refusal text instead when they are not allowed."""
        if not self._config.enabled:
            return None
        used, cap = self.used(account), self.cap(volume)
        ceiling = min(cap + 100_000, 2 * cap) if is_cancel else cap
        if used + actions > ceiling and not self._extra(account):
            return too_many_requests(used + actions, ceiling, volume)
        self._used[account] = used + actions
        return None

    def _extra(self, account: str) -> bool:
        now = self._seconds()
        last = self._last_extra.get(account)
        if last is not None and now - last < self._config.address_interval_s:
            return False
        self._last_extra[account] = now
        return True
