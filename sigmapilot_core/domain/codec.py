"""Frozen dataclasses back from their plain form: the inverse of `canonical.plain`, led by the type hints.

Handled types: str, bool, int, float, Decimal, enumerations, dataclasses, `tuple[X, ...]`, `tuple[X, Y]`,
`Mapping[str, X]`, `dict[str, X]`, `frozenset[X]` and `X | None`. Every error names the path of the field.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


def from_json(cls: type[T], text: str, name: str = "") -> T:
    """A value of type `cls` from JSON text. Errors: ValueError naming the field, its value and what is allowed."""
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name or cls.__name__} is not JSON: {error}") from None
    return from_plain(cls, tree, name or cls.__name__)


def from_plain(cls: type[T], tree: Any, path: str) -> T:
    """A value of type `cls` from its plain form; numbers may be strings or JSON numbers.

    Fields with defaults may be absent, unknown fields are an error. Errors: ValueError naming the path.
    """
    return typing.cast(T, _decode(cls, tree, path))


def _decode(hint: Any, tree: Any, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _optional(hint, tree, path)
    if origin is not None:
        return _collection(hint, origin, tree, path)
    if is_dataclass(hint):
        return _dataclass(typing.cast(type, hint), tree, path)
    if hint is Any:
        return tree
    if hint is bool or hint is str:
        if not isinstance(tree, hint):
            raise _wrong(path, tree, "true or false" if hint is bool else "a text")
        return tree
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enumeration(hint, tree, path)
    return _number(hint, tree, path)


def _optional(hint: Any, tree: Any, path: str) -> Any:
    members = [member for member in get_args(hint) if member is not type(None)]
    if tree is None and len(members) < len(get_args(hint)):
        return None
    if len(members) != 1:
        raise TypeError(f"{path} has the type {hint}; only X | None can be read")
    return _decode(members[0], tree, path)


def _collection(hint: Any, origin: Any, tree: Any, path: str) -> Any:
    arguments = get_args(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(tree, dict):
            raise _wrong(path, tree, "an object")
        return {key: _decode(arguments[1], item, f"{path}.{key}") for key, item in tree.items()}
    if not isinstance(tree, list):
        raise _wrong(path, tree, "a list")
    if origin is frozenset:
        return frozenset(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(tree))
    if origin is not tuple:
        raise TypeError(f"{path} has the type {hint}, which cannot be read")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(tree))
    if len(arguments) != len(tree):
        raise _wrong(path, tree, f"a list of {len(arguments)}")
    return tuple(
        _decode(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(arguments, tree, strict=True))
    )


def _dataclass(cls: type, tree: Any, path: str) -> Any:
    if not isinstance(tree, dict):
        raise _wrong(path, tree, "an object")
    hints, required = _layout(cls)
    unknown = tree.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{path} has the unknown field {min(unknown)!r}")
    missing = required - tree.keys()
    if missing:
        raise ValueError(f"{path} lacks the field {min(missing)!r}")
    values = {name: _decode(hints[name], item, f"{path}.{name}") for name, item in tree.items()}
    try:
        return cls(**values)
    except ValueError as error:  # the class refuses its own content: say where it stood
        raise ValueError(f"{path}: {error}") from None


@functools.cache
def _layout(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """(type of each field, names without a default)."""
    hints = typing.get_type_hints(cls)
    known = fields(cls)
    required = frozenset(f.name for f in known if f.default is MISSING and f.default_factory is MISSING)
    return {f.name: hints[f.name] for f in known}, required


def _enumeration(cls: type[Enum], tree: Any, path: str) -> Enum:
    try:
        return cls(tree)
    except ValueError:
        raise _wrong(path, tree, "one of " + ", ".join(str(member.value) for member in cls)) from None


def _number(hint: Any, tree: Any, path: str) -> Any:
    if hint not in (int, float, Decimal):
        raise TypeError(f"{path} has the type {hint}, which cannot be read")
    if isinstance(tree, bool) or not isinstance(tree, str | int | float):
        raise _wrong(path, tree, "a number")
    try:
        value = hint(str(tree))
    except (ValueError, InvalidOperation):
        raise _wrong(path, tree, "an integer" if hint is int else "a number") from None
    if not math.isfinite(value):
        raise _wrong(path, tree, "a finite number")
    return value


def _wrong(path: str, tree: Any, allowed: str) -> ValueError:
    return ValueError(f"{path} must be {allowed}, got {str(tree)[:80]!r}")
