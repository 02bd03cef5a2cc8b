"""Which partitions an input of the decision step concerns: a frame its coins', everything else all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from sigmapilot_core.adapters.hyperliquid.received import FrameKind
from sigmapilot_core.domain.engine.share import partition_of
from sigmapilot_stream.decode import RECONCILED

_COINS = ("coin", "s")
"""Where a row of the venue names its coin; candles say `s`."""


def partitions_of(kind: str, payload: bytes, count: int) -> Collection[int]:
    """Partitions that an input goes to, ascending.

    What names no coin, or cannot be read, goes to all: an engine that it does not concern passes it over, and one that
    it may concern must know.
    """
    if kind not in (FrameKind.LIVE, FrameKind.HISTORY, FrameKind.GAP, RECONCILED):
        return range(count)
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return range(count)
    found = _coins(body.get("data", body) if isinstance(body, dict) else body)
    return sorted({partition_of(coin, count) for coin in found}) if found else range(count)


def _coins(data: Any) -> set[str]:
    """Coins named by a frame's data; none if one row of it names none."""
    rows = data if isinstance(data, list) else [data]
    found: set[str] = set()
    for row in rows:
        names = [row[name] for name in _COINS if isinstance(row.get(name), str)] if isinstance(row, dict) else []
        if not names:
            return set()
        found.add(names[0])
    return found
