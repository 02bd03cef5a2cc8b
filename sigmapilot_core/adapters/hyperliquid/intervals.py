"""Names of candle intervals on the wire and their lengths (spec section 1.2)."""

from __future__ import annotations

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS

INTERVAL_MS: dict[str, int] = {
    **{f"{n}m": n * _MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * _HOUR_MS for n in (1, 2, 4, 8, 12)},
    **{f"{n}d": n * _DAY_MS for n in (1, 3)},
    "1w": 7 * _DAY_MS,
}
"""Length by name. The calendar month `1M` has no fixed length and is not used here."""

INTERVAL_NAME: dict[int, str] = {length: name for name, length in INTERVAL_MS.items()}


def interval_name(interval_ms: int) -> str:
    """Name on the wire of a length in milliseconds; ValueError for a length the venue does not serve."""
    name = INTERVAL_NAME.get(interval_ms)
    if name is None:
        raise ValueError(f"interval_ms is {interval_ms}; allowed is one of {sorted(INTERVAL_NAME)}.")
    return name
