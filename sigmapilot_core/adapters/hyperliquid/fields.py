"""Single values of a wire message, both ways: strict readers and the venue's number format.

On the wire prices, sizes, money and rates are decimal strings; ids, counters and instants are numbers (spec section
1.0). A number instead of a string is accepted, anything that is not finite, signed wrongly or missing is `BadMessage`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage

_PLAIN = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,340})?(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}", re.ASCII)
_NUMBER = "a finite decimal number"
MAX_INT = 2**63 - 1
_LEAST, _MOST = Decimal("1e-15"), Decimal("1e15")
MAX_TEXT = 1_000
FUTURE_MS = 600_000
MISSING = "(missing)"


def mapping(value: object, field: str) -> Mapping[str, Any]:
    """The value as an object with keys."""
    if not isinstance(value, dict):
        raise BadMessage(field, value, "an object")
    return value


def sequence(value: object, field: str) -> list[Any]:
    """The value as an array."""
    if not isinstance(value, list):
        raise BadMessage(field, value, "an array")
    return value


def pair(value: object, field: str) -> tuple[Any, Any]:
    """The value as an array of exactly two elements."""
    items = sequence(value, field)
    if len(items) != 2:
        raise BadMessage(field, value, "an array of two elements")
    return items[0], items[1]


def to_decimal(value: object, field: str) -> Decimal:
    """A finite decimal from a string or a number."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    raise BadMessage(field, value, _NUMBER)


def decimal(row: Mapping[str, Any], field: str) -> Decimal:
    """A finite decimal of either sign."""
    return to_decimal(row.get(field, MISSING), field)


def positive(row: Mapping[str, Any], field: str) -> Decimal:
    """A decimal above zero: a price or a size."""
    value = to_decimal(row.get(field, MISSING), field)
    if value <= 0:
        raise BadMessage(field, row[field], "a number above zero")
    return value


def not_negative(row: Mapping[str, Any], field: str) -> Decimal:
    """A decimal of zero or more."""
    value = to_decimal(row.get(field, MISSING), field)
    if value < 0:
        raise BadMessage(field, row[field], "a number of zero or more")
    return value


def optional_decimal(row: Mapping[str, Any], field: str) -> Decimal | None:
    """A finite decimal, or None where the venue sends null or leaves the field out."""
    value = row.get(field)
    return None if value is None else to_decimal(value, field)


def real(row: Mapping[str, Any], field: str) -> float:
    """A finite float64 of either sign: a rate, a statistic."""
    return float(to_decimal(row.get(field, MISSING), field))


def real_not_negative(row: Mapping[str, Any], field: str) -> float:
    """A finite float64 of zero or more."""
    return float(not_negative(row, field))


def optional_real(row: Mapping[str, Any], field: str) -> float | None:
    """A finite float64, or None where the venue sends null or leaves the field out."""
    value = row.get(field)
    return None if value is None else float(to_decimal(value, field))


def integer(row: Mapping[str, Any], field: str, low: int = 0) -> int:
    """A whole number in [low, 2^63)."""
    return to_integer(row.get(field, MISSING), field, low)


def to_integer(value: object, field: str, low: int = 0) -> int:
    """A whole number in [low, 2^63); a bool is not a number."""
    if type(value) is not int or not low <= value <= MAX_INT:
        raise BadMessage(field, value, f"a whole number of {low} or more")
    return value


def optional_integer(row: Mapping[str, Any], field: str) -> int | None:
    """A whole number of zero or more, or None where absent."""
    return None if row.get(field) is None else integer(row, field)


def boolean(row: Mapping[str, Any], field: str) -> bool:
    """true or false."""
    value = row.get(field, MISSING)
    if not isinstance(value, bool):
        raise BadMessage(field, value, "true or false")
    return value


def text(row: Mapping[str, Any], field: str) -> str:
    """A string that can be stored: not endless, without the character zero."""
    value = row.get(field, MISSING)
    if not isinstance(value, str) or value is MISSING or not is_storable(value):
        raise BadMessage(field, value, f"a string of at most {MAX_TEXT} characters other than zero")
    return value


def is_storable(value: str) -> bool:
    """Whether a database takes the text: not endless, without the character zero."""
    return len(value) <= MAX_TEXT and "\0" not in value


def traded(row: Mapping[str, Any], field: str, *, may_be_zero: bool = False) -> Decimal:
    """A price or a size of a trade: above zero and within what any market can say."""
    value = to_decimal(row.get(field, MISSING), field)
    if not (_LEAST <= value <= _MOST or (may_be_zero and value == 0)):
        raise BadMessage(field, row[field], f"a number above zero, from {_LEAST} to {_MOST}")
    return value


def instant(row: Mapping[str, Any], field: str, received_ms: int | None) -> int:
    """An instant of the venue, at most `FUTURE_MS` after its receipt where that is known: one of another time would
    make everything after it look late."""
    value = integer(row, field)
    if received_ms is not None and value > received_ms + FUTURE_MS:
        raise BadMessage(field, value, f"at most {FUTURE_MS // 60_000} minutes after its receipt at {received_ms}")
    return value


def to_address(value: object, field: str) -> str:
    """An account address, in lower case."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise BadMessage(field, value, "0x and 40 hexadecimal digits")
    return value.lower()


def address(row: Mapping[str, Any], field: str) -> str:
    """An account address, in lower case."""
    return to_address(row.get(field, MISSING), field)


def is_buy(row: Mapping[str, Any], field: str = "side") -> bool:
    """True for `B` (bid, buy), False for `A` (ask, sell)."""
    value = row.get(field, MISSING)
    if value not in ("A", "B"):
        raise BadMessage(field, value, "A or B")
    return bool(value == "B")


def decimal_text(value: Decimal | int) -> str:
    """The venue's format: plain digits, no exponent, at least one decimal place (`0.0`, `66375.0`, `0.15021`)."""
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"A number on the wire is {value}; allowed is a finite number.")
    digits = format(number, "f")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0") or "0"
    plain = f"{whole}.{fraction}"
    return "0.0" if plain == "-0.0" else plain


def real_text(value: float) -> str:
    """A float64 in the venue's format; the shortest digits that give the same float64 back."""
    return decimal_text(Decimal(repr(float(value))))


def optional_text(value: Decimal | float | None) -> str | None:
    """null for None, else the venue's format."""
    if value is None:
        return None
    return decimal_text(value) if isinstance(value, Decimal) else real_text(value)


def without_none(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object without the keys whose value is None: unknown is absent on the wire, never a neutral number."""
    return {key: value for key, value in items if value is not None}
