"""One text for one value: canonical JSON, its SHA-256 and UUIDs made of it (spec 1.8, 4.3).

Keys are sorted, there is no white space, and every number (int, float or Decimal) is a string holding its plain
decimal form without trailing zeros: 2, 2.0 and Decimal("2.00") are all "2". A float is written with the fewest digits
that give it back. Numbers that are not finite have no canonical form.

A field that a dataclass got later says in its metadata (`ABSENT`) which value texts of before stand for; with that
value it is not written, so that older texts keep their hashes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from operator import attrgetter, itemgetter
from typing import Any

from sigmapilot_core.domain.frozen import Remembering, remember

ID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "sigmapilot.canonical")
ABSENT = "absent"


def decimal_text(number: int | float | Decimal) -> str:
    """Plain decimal form of a finite number, no exponent, no trailing zeros; both zeros are "0".

    Errors: ValueError for NaN and infinities.
    """
    if isinstance(number, int):
        return str(number)
    if not (number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)):
        raise ValueError(f"a number must be finite, got {number}")
    text = repr(number) if isinstance(number, float) else format(number, "f")
    if "e" in text:
        text = format(Decimal(text), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def plain(value: Any, path: str = "value") -> Any:
    """`value` as dictionaries, lists, strings, booleans and None: numbers are strings, dataclasses and enumerations
    are their contents.

    Errors: ValueError for a number that is not finite, TypeError for any other type; both name the path.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, path)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal):
        return _number(value, path)
    if isinstance(value, Mapping):
        return {_key(key, path): plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if is_dataclass(value):
        kind: type = type(value)
        return {name: plain(item, f"{path}.{name}") for name, item in _written(value, kind).items()}
    raise TypeError(f"{path} is a {type(value).__name__}, which has no canonical form")


def canonical_json(value: Any) -> str:
    """The one text of a value. Errors: those of `plain`."""
    try:
        return _text(value)
    except (ValueError, TypeError):
        plain(value)  # the slow form knows where it is and says what is wrong there
        raise


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical text, 64 hexadecimal digits."""
    return sha256_of_text(canonical_json(value))


def sha256_of_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def uuid_of_text(text: str, namespace: uuid.UUID = ID_NAMESPACE) -> str:
    """UUIDv5 of a text in the project's name space, or another: what `str(uuid.uuid5(namespace, text))` gives."""
    digest = hashlib.sha1(namespace.bytes + text.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


@functools.cache
def field_names(cls: type) -> tuple[str, ...]:
    """Names of a dataclass's fields, in order."""
    return tuple(item.name for item in fields(cls))


@functools.cache
def absent_values(cls: type) -> dict[str, Any]:
    """What texts without them stand for, of a dataclass's later fields."""
    return {item.name: item.metadata[ABSENT] for item in fields(cls) if ABSENT in item.metadata}


def _written(value: Any, kind: type) -> dict[str, Any]:
    """The fields of a dataclass that its text holds."""
    absent = absent_values(kind)
    named = {name: getattr(value, name) for name in field_names(kind)}
    return {name: item for name, item in named.items() if name not in absent or item != absent[name]}


def _text(value: Any) -> str:
    """json.dumps(plain(value)) with sorted keys in one pass: decisions are made of some thousand numbers."""
    kind: type = type(value)
    return (_KNOWN.get(kind) or _writer(kind))(value)


_KNOWN: dict[type, Callable[[Any], str]] = {}
"""Writers of the types met so far: a look-up in a dictionary costs half of one in a cache."""


def _writer(kind: type) -> Callable[[Any], str]:
    """How values of a type are written."""
    writer = _KNOWN[kind] = _new_writer(kind)
    return writer


def _new_writer(kind: type) -> Callable[[Any], str]:
    if issubclass(kind, Enum):
        return lambda value: _text(value.value)
    if is_dataclass(kind):
        return _dataclass_writer(kind)
    for base, writer in _WRITERS:
        if issubclass(kind, base):
            return writer
    raise TypeError(f"a {kind.__name__} has no canonical form")


def _dataclass_writer(kind: type) -> Callable[[Any], str]:
    names = sorted(field_names(kind))
    prefixes = [f"{encode_basestring(name)}:" for name in names]
    contents = attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    if absent_values(kind):
        return lambda value: _mapping_text(_written(value, kind))

    def write(value: Any) -> str:
        named = zip(prefixes, contents(value), strict=True)
        parts = [prefix + (_KNOWN.get(type(item)) or _writer(type(item)))(item) for prefix, item in named]
        return "{" + ",".join(parts) + "}"

    def write_once(value: Any) -> str:
        try:
            text: str = value._text
        except AttributeError:
            text = write(value)
            remember(value, "_text", text)
        return text

    return write_once if issubclass(kind, Remembering) else write


def _mapping_text(value: Mapping[Any, Any]) -> str:
    items = sorted(((_key(key, "value"), item) for key, item in value.items()), key=itemgetter(0))
    return "{" + ",".join([f"{encode_basestring(key)}:{_text(item)}" for key, item in items]) + "}"


def _items_text(value: list[Any] | tuple[Any, ...]) -> str:
    if value and isinstance(value[0], Remembering):
        with contextlib.suppress(AttributeError):  # one that was never written yet, or that is of another kind
            return "[" + ",".join([item._text for item in value]) + "]"
    return "[" + ",".join([(_KNOWN.get(type(item)) or _writer(type(item)))(item) for item in value]) + "]"


_WRITERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (str, encode_basestring),
    (int, lambda value: f'"{int(value)}"'),
    (float, lambda value: f'"{_float_text(value)}"'),
    (Decimal, lambda value: f'"{_decimal_text(value)}"'),
    (Mapping, _mapping_text),
    (list, _items_text),
    (tuple, _items_text),
    (type(None), lambda value: "null"),
)


def _float_text(value: float) -> str:
    """`decimal_text` of a float: most end in a digit that is no zero, or in ".0"."""
    text = repr(value)
    if "e" in text or "n" in text:
        return decimal_text(value)
    if text.endswith(".0"):
        text = text[:-2]
    return "0" if text == "-0" else text


def _decimal_text(value: Decimal) -> str:
    """`decimal_text` of a Decimal: `str` is plain but for large and for very small exponents."""
    text = str(value)
    if "E" in text or not value.is_finite():
        return decimal_text(value)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _number(value: int | float | Decimal, path: str) -> str:
    try:
        return decimal_text(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{path} has the key {key!r}, which is not a text")
    return str(key.value) if isinstance(key, Enum) else key
