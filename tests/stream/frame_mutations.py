"""Frames made wrong in every way that bytes and JSON can be wrong, from recorded or composed ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import orjson

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**63 - 1, 2**63, -(2**63), 0.1, -0.0, 1e308, -1e-308, "", " ", "0", "-0.0",
    "-1", "NaN", "nan", "Infinity", "-inf", "1e99", "1E-99", "9" * 32, "9" * 400, "0." + "0" * 300 + "1", "0x", "1_000",
    "１２", "\u0000", "a\u0000b", "\ud7ff\uffff", "🦀" * 30, "x" * 5_000, [], {}, [[]], [None], {"": None}, ["", ""],
    "BTC", "ETH", "xyz:NEW", "@9999", "#77", "PURR/USDC", "../../etc", "'; DROP TABLE fills; --", "<b>", "B", "A", "C",
    "0x" + "0" * 40, "0x" + "F" * 40, "0x" + "g" * 40, "trades", "userFills", "l2Book", "error", "pong", "emulator",
    1, 4_000_000_000_000, 1_000, 32_503_680_000_000, 253_402_300_800_000,
)  # fmt: skip
KEYS = ("channel", "data", "coin", "px", "sz", "time", "tid", "side", "users", "hash", "user", "fills", "isSnapshot")


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON tree as (container, key)."""
    found, left = [], [tree]
    while left:
        node = left.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            left.append(node[key])
    return found


class Mutator:
    """Makes wrong frames out of good ones; the same seed makes the same ones."""

    def __init__(self, frames: Sequence[bytes], rng: random.Random) -> None:
        self._frames = frames
        self._rng = rng
        self._of_bytes: tuple[Callable[[bytes], bytes], ...] = (
            self._flip, self._cut, self._drop, self._double, self._insert, self._swap, self._digit, self._splice,
        )  # fmt: skip
        self._of_trees: tuple[Callable[[Any], Any], ...] = (
            self._replace, self._replace, self._remove, self._rename, self._shuffle, self._grow, self._nest, self._add,
        )  # fmt: skip

    def mutated(self, raw: bytes) -> bytes:
        """The frame with one to three things wrong; bytes or tree by chance."""
        if self._rng.random() < 0.25:  # still of the right form, and wrong
            gentle = self._rng.choice((self._digit, self._shuffle, self._grow, self._add))
            return gentle(raw) if gentle == self._digit else self._in_tree(raw, gentle)  # type: ignore[arg-type]
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            raw = self._in_tree(raw) if self._rng.random() < 0.7 else self._rng.choice(self._of_bytes)(raw)
        return raw

    def _in_tree(self, raw: bytes, change: Callable[[Any], Any] | None = None) -> bytes:
        try:
            tree = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return self._flip(raw)
        changed = (change or self._rng.choice(self._of_trees))(tree)
        try:
            return orjson.dumps(changed)
        except TypeError:  # whole numbers beyond 64 bits, and trees too deep
            return repr(changed).replace("'", '"').replace("None", "null").encode("utf-8", "surrogatepass")

    def _at(self, raw: bytes) -> int:
        return self._rng.randrange(len(raw)) if raw else 0

    def _span(self, raw: bytes) -> tuple[int, int]:
        begin = self._at(raw)
        return begin, min(len(raw), begin + self._rng.randrange(1, 40))

    def _flip(self, raw: bytes) -> bytes:
        at = self._at(raw)
        return raw[:at] + bytes([self._rng.randrange(256)]) + raw[at + 1 :]

    def _cut(self, raw: bytes) -> bytes:
        return raw[: self._at(raw)]

    def _drop(self, raw: bytes) -> bytes:
        begin, end = self._span(raw)
        return raw[:begin] + raw[end:]

    def _double(self, raw: bytes) -> bytes:
        begin, end = self._span(raw)
        return raw[:end] + raw[begin:]

    def _insert(self, raw: bytes) -> bytes:
        at = self._at(raw)
        return raw[:at] + self._rng.randbytes(self._rng.randrange(1, 12)) + raw[at:]

    def _swap(self, raw: bytes) -> bytes:
        a, b = sorted((self._at(raw), self._at(raw)))
        return raw[:a] + raw[b:] + raw[a:b]

    def _digit(self, raw: bytes) -> bytes:
        at = [i for i, byte in enumerate(raw) if 48 <= byte <= 57]
        return raw if not at else self._put(raw, self._rng.choice(at), b"%d" % self._rng.randrange(10))

    def _put(self, raw: bytes, at: int, byte: bytes) -> bytes:
        return raw[:at] + byte + raw[at + 1 :]

    def _splice(self, raw: bytes) -> bytes:
        other = self._rng.choice(self._frames)
        return raw[: self._at(raw)] + other[self._at(other) :]

    def _place(self, tree: Any) -> tuple[Any, Any] | None:
        """A place of the tree, the deeper the more often."""
        place = None
        while isinstance(tree, (dict, list)) and tree and (place is None or self._rng.random() < 0.8):
            key = self._rng.choice(list(tree)) if isinstance(tree, dict) else self._rng.randrange(len(tree))
            place, tree = (tree, key), tree[key]
        return place

    def _replace(self, tree: Any) -> Any:
        place = self._place(tree)
        if place is None:
            return self._rng.choice(NASTY)
        place[0][place[1]] = self._rng.choice(NASTY)
        return tree

    def _remove(self, tree: Any) -> Any:
        place = self._place(tree)
        if place is not None:
            del place[0][place[1]]
        return tree

    def _rename(self, tree: Any) -> Any:
        places = [(node, key) for node, key in nodes(tree) if isinstance(node, dict)]
        if places:
            node, key = self._rng.choice(places)
            node[self._rng.choice(KEYS)] = node.pop(key)
        return tree

    def _shuffle(self, tree: Any) -> Any:
        lists = [node[key] for node, key in nodes(tree) if isinstance(node[key], list)]
        if lists:
            self._rng.shuffle(self._rng.choice(lists))
        return tree

    def _grow(self, tree: Any) -> Any:
        lists = [node[key] for node, key in nodes(tree) if isinstance(node[key], list) and node[key]]
        if lists:
            grown = self._rng.choice(lists)
            grown.extend(grown[:50] * self._rng.randrange(1, 4))
        return tree

    def _nest(self, tree: Any) -> Any:
        place = self._place(tree)
        if place is not None:
            inner = place[0][place[1]]
            for _ in range(self._rng.choice((1, 5, 200))):
                inner = [inner]
            place[0][place[1]] = inner
        return tree

    def _add(self, tree: Any) -> Any:
        dicts = [node[key] for node, key in nodes(tree) if isinstance(node[key], dict)]
        if dicts:
            self._rng.choice(dicts)[self._rng.choice((*KEYS, "x", "cloid"))] = self._rng.choice(NASTY)
        return tree
