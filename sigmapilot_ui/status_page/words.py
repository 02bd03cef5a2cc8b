"""Numbers and instants as people read them. Unknown is a dash, never a zero; a minus is never lost."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

UNKNOWN = "—"
_MINUS = "\N{MINUS SIGN}"
VERDICT_MARKS = {True: "✓ pass", False: "✗ fail", None: "? unknown"}
WORD_MARKS = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}


def signed(value: float | None, digits: int = 2, unit: str = "") -> str:
    """With its sign, but 0 without one: `+0.31 R`, `−1.06 R`, `0.00 R`."""
    if value is None:
        return UNKNOWN
    rounded = round(value, digits)
    sign = _MINUS if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):,.{digits}f}{unit}"


def plain(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Without a plus: `2.15`, `−0.40`."""
    return signed(value, digits, unit).removeprefix("+")


def r_multiple(value: float | None) -> str:
    """A multiple of risk."""
    return signed(value, 2, " R")


def usd(value: float | None, digits: int = 0) -> str:
    """Dollars with their sign in front: `−$12.50`, `+$3`, `$0`."""
    text = signed(value, digits)
    return text if text == UNKNOWN else f"{text[0]}${text[1:]}" if text[0] in f"+{_MINUS}" else f"${text}"


def amount(value: float | None, digits: int = 0) -> str:
    """Dollars that are a state, not a change: no plus."""
    return usd(value, digits).removeprefix("+")


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as percent."""
    return plain(None if share is None else 100 * share, digits, " %")


def price(value: float | None) -> str:
    """With about six significant digits: `84,250.5`, `131.42`, `0.081230`."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    digits = 1 if size >= 10_000 else 2 if size >= 100 else 4 if size >= 1 else 6
    return plain(value, digits)


def span(seconds: float | None) -> str:
    """A length of time in its largest fitting unit: `0.8 s`, `42 s`, `5 min`, `3.4 h`, `12 d`."""
    if seconds is None:
        return UNKNOWN
    units = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (math.inf, 86_400, "d"))
    divisor, unit = next((divisor, unit) for limit, divisor, unit in units if abs(seconds) < limit)
    value = seconds / divisor
    return plain(value, 1 if abs(value) < 10 and unit != "min" else 0, f" {unit}")


def ago(at: datetime | None, now: datetime) -> str:
    """How long before `now`."""
    return UNKNOWN if at is None else f"{span(max(0.0, (now - at) / timedelta(seconds=1)))} ago"


def instant(at: datetime | None) -> str:
    """Date and time of day, UTC."""
    return UNKNOWN if at is None else f"{at.astimezone(UTC):%d %b %H:%M:%S}"


def of_ms(at_ms: float | None) -> datetime | None:
    """An instant from milliseconds since the epoch."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


def side(direction: str | None) -> str:
    """A direction with its arrow."""
    return {"long": "▲ long", "short": "▼ short", "buy": "▲ buy", "sell": "▼ sell"}.get(
        direction or "", direction or UNKNOWN
    )


def trader(address: str, nickname: str | None) -> str:
    """The nickname, or the address shortened in its middle."""
    return nickname or f"{address[:6]}…{address[-4:]}"


def count(number: int | None, one: str, many: str | None = None) -> str:
    """`1 trader`, `3 traders`, `no traders`."""
    if number is None:
        return f"{UNKNOWN} {many or one + 's'}"
    return f"{'no' if number == 0 else f'{number:,}'} {one if number == 1 else many or one + 's'}"
