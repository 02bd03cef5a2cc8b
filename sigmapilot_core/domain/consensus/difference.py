"""In which field two records of the same decision differ."""

from __future__ import annotations

import json
from typing import Any


def difference(stored: str, again: str) -> str | None:
    """The first field in which two records differ, with both values; None for the same bytes."""
    if stored == again:
        return None
    found = _first_difference(json.loads(stored), json.loads(again), "record")
    if found is not None:
        return found
    at_character = next(i for i, (a, b) in enumerate(zip(stored, again, strict=False)) if a != b)
    return f"the same values are spelt differently from character {at_character} on"


def _first_difference(stored: Any, again: Any, path: str) -> str | None:
    if isinstance(stored, dict) and isinstance(again, dict):
        keys, get = sorted({*stored, *again}), lambda tree, key: tree.get(key, "(absent)")
        names = {key: f"{path}.{key}" for key in keys}
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        keys, get = list(range(len(stored))), lambda tree, key: tree[key]
        names = {key: f"{path}[{key}]" for key in keys}
    else:
        return None if stored == again else f"{path} is {json.dumps(stored)}, made again it is {json.dumps(again)}"
    for key in keys:
        found = _first_difference(get(stored, key), get(again, key), names[key])
        if found is not None:
            return found
    return None
