"""Pinned accounts: always followed, voting only if they are in the pool; at most three that no leaderboard names."""

from __future__ import annotations

import re
from collections.abc import Collection

MAX_CUSTOM = 3
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")


def address_of(text: str) -> str:
    """An address as it is stored, lower case. Errors: ValueError for anything else."""
    found = text.strip().lower()
    if not _ADDRESS.fullmatch(found):
        raise ValueError(f"address is {text[:80]!r}; allowed is 0x and 40 hexadecimal digits")
    return found


def check_pin(address: str, is_custom: bool, custom: Collection[str]) -> None:
    """Whether one more account may be pinned. Errors: ValueError for a fourth custom one, naming the three."""
    if is_custom and address not in custom and len(custom) >= MAX_CUSTOM:
        raise ValueError(
            f"{address} is on no leaderboard and {len(custom)} such accounts are pinned ({', '.join(sorted(custom))}); "
            f"allowed are {MAX_CUSTOM}: remove one first"
        )
