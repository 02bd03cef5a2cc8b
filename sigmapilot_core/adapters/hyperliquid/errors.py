"""What can go wrong between us and the venue, as types a caller can act on."""

from __future__ import annotations

_SHOWN = 80


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


class BadMessage(ValueError):
    """A message of the venue that cannot be trusted; carries `field`, `value` and what is `allowed`."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} is {_shorten(value)}; allowed is {allowed}.")
        self.field = field
        self.value = value
        self.allowed = allowed

    def within(self, place: str) -> BadMessage:
        """The same fault with the place of the message put before the field."""
        return BadMessage(f"{place}.{self.field}", self.value, self.allowed)


class VenueError(Exception):
    """A request to the venue did not bring an answer that can be used; the outcome of an action is unknown."""


class TransientError(VenueError):
    """May succeed later: time-out, lost connection, 429, 5xx (spec section 1.0). Reads are retried."""


class RateLimited(TransientError):
    """HTTP 429: the address has used up its weight."""


class OutcomeUnknown(VenueError):
    """An action was sent and no answer came: it may or may not have happened. Ask by client order id, never resend."""


class PermanentError(VenueError):
    """Will fail again in the same way: 4xx, an answer that is not JSON. A retry only spends weight."""


class LeaderboardError(Exception):
    """The leaderboard could not be replaced; the last good copy stays in force."""
