"""POST /info: reading a request, finding its answer, and what it weighs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import to_address, to_integer

UNREADABLE = "Failed to deserialize the JSON body into the target type"
"""The venue's text for HTTP 422 (spec section 1.0)."""


class Unprocessable(ValueError):
    """A request the venue answers with 422: unknown type, missing field, wrong type of a field."""


class Body:
    """Typed access to the fields of a request; everything missing or wrong is `Unprocessable`."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise Unprocessable
        self.values: Mapping[str, Any] = values

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise Unprocessable
        return value

    def optional_text(self, name: str) -> str:
        """A string; empty when absent or null."""
        return "" if self.values.get(name) is None else self.text(name)

    def user(self, name: str = "user") -> str:
        """An account's address, in lower case."""
        return _reading(to_address, self.values.get(name), name)

    def users(self) -> list[str]:
        """A list of addresses."""
        values = self.values.get("users")
        if not isinstance(values, list):
            raise Unprocessable
        return [_reading(to_address, value, "users") for value in values]

    def integer(self, name: str) -> int:
        """A whole number that must be there."""
        return _reading(to_integer, self.values.get(name), name)

    def optional_integer(self, name: str) -> int | None:
        """A whole number; None when absent or null."""
        return None if self.values.get(name) is None else self.integer(name)

    def flag(self, name: str) -> bool:
        """A boolean; False when absent or null."""
        value = self.values.get(name)
        if value is not None and type(value) is not bool:
            raise Unprocessable
        return value is True

    def inner(self, name: str) -> Body:
        """A nested object that must be there."""
        return Body(self.values.get(name))


def _reading(read: Callable[[Any, str], Any], value: Any, name: str) -> Any:
    try:
        return read(value, name)
    except BadMessage as fault:
        raise Unprocessable from fault


Handler = Callable[[Venue, Body], Any]
"""Answers one type of request with what is sent as JSON."""
