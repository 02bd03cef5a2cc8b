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
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin

from sigmapilot_core.domain.canonical import absent_values

T = TypeVar("T")


Known = dict[type, dict[tuple[Any, ...], Any]]
"""Values of some types met so far, by content: what recurs is made once, and keeps what it remembers."""


def from_json(cls: type[T], text: str, name: str = "", known: Known | None = None) -> T:
    """A value of type `cls` from JSON text. Errors: ValueError naming the field, its value and what is allowed."""
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name or cls.__name__} is not JSON: {error}") from None
    return from_plain(cls, tree, name or cls.__name__, known)


def from_plain(cls: type[T], tree: Any, path: str, known: Known | None = None) -> T:
    """A value of type `cls` from its plain form; numbers may be strings or JSON numbers.

    Fields with defaults may be absent (`canonical.ABSENT` says what they are then, else their default), unknown fields
    are an error. Dataclasses of the types in `known` are shared
    with what was read before, and added to it. Errors: ValueError naming the path.
    """
    try:
        return typing.cast(T, quick_reader(typing.cast(Any, cls))(tree, known))
    except NotReadableError:
        return stepwise(cls, tree, path)  # it knows where it is, and says what is wrong there


def stepwise(cls: type[T], tree: Any, path: str) -> T:
    """The clear form of `from_plain`, led by the type hints value by value."""
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
        return cls(**absent_values(cls) | values)
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


Reader = Callable[[Any, Known | None], Any]


class NotReadableError(Exception):
    """The tree is not of the type, or the type is none that can be read; `stepwise` says why."""


@functools.cache
def quick_reader(hint: Any) -> Reader:
    """How trees of a type are read: the hints are looked at once, and no path is kept."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _optional_reader(hint)
    if origin is not None:
        return _collection_reader(get_args(hint), origin)
    if is_dataclass(hint):
        return _dataclass_reader(typing.cast(type, hint))
    if hint is Any:
        return lambda tree, _: tree
    if hint is bool or hint is str:
        return functools.partial(_exactly, hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enumeration_reader(hint)
    if hint in (int, float, Decimal):
        return _number_reader(hint)
    raise NotReadableError


def _exactly(kind: type, tree: Any, _: Known | None) -> Any:
    if type(tree) is not kind:
        raise NotReadableError
    return tree


def _optional_reader(hint: Any) -> Reader:
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) != 1 or len(members) == len(get_args(hint)):
        raise NotReadableError
    read = quick_reader(members[0])
    return lambda tree, known: None if tree is None else read(tree, known)


def _collection_reader(arguments: tuple[Any, ...], origin: Any) -> Reader:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = quick_reader(arguments[1])
        return lambda tree, known: {key: item(held, known) for key, held in _exactly(dict, tree, known).items()}
    if origin is not frozenset and origin is not tuple:
        raise NotReadableError
    if origin is frozenset or (len(arguments) == 2 and arguments[1] is Ellipsis):
        item = quick_reader(arguments[0])
        return lambda tree, known: origin([item(held, known) for held in _exactly(list, tree, known)])
    items = [quick_reader(argument) for argument in arguments]

    def read(tree: Any, known: Known | None) -> Any:
        if len(_exactly(list, tree, known)) != len(items):
            raise NotReadableError
        return tuple([item(held, known) for item, held in zip(items, tree, strict=True)])

    return read


def _dataclass_reader(cls: type) -> Reader:
    hints, required = _layout(cls)
    readers = {name: quick_reader(hint) for name, hint in hints.items()}
    absent = absent_values(cls)

    def new(tree: dict[str, Any], known: Known | None) -> Any:
        try:
            values = {name: readers[name](item, known) for name, item in tree.items()}
            return cls(**(absent | values if absent else values))
        except (KeyError, TypeError, ValueError):  # an unknown field, one that is missing, a content it refuses
            raise NotReadableError from None

    def read(tree: Any, known: Known | None) -> Any:
        if type(tree) is not dict or not required <= tree.keys():
            raise NotReadableError
        shared = None if known is None else known.get(cls)
        if shared is None:
            return new(tree, known)
        key = _content(tree)
        found = shared.get(key)
        if found is None:
            found = shared[key] = new(tree, known)
        return found

    return read


def _content(tree: Any) -> tuple[Any, ...]:
    """Names and values of an object, or items of a list, as a key; "1" and 1 and true are different contents."""
    values = tuple(tree.values()) if type(tree) is dict else tuple(tree)
    names = tuple(tree) if type(tree) is dict else ()
    if _PLAIN.issuperset(map(type, values)):
        return names, values
    return names, tuple([(type(item), _content(item) if type(item) in _NESTED else item) for item in values]), ()


_PLAIN = frozenset((str, type(None)))
_NESTED = (dict, list)


def _enumeration_reader(cls: type[Enum]) -> Reader:
    def read(tree: Any, _: Known | None) -> Any:
        try:
            return cls(tree)
        except ValueError:
            raise NotReadableError from None

    return read


def _number_reader(kind: type[int] | type[float] | type[Decimal]) -> Reader:
    def read(tree: Any, _: Known | None) -> Any:
        if type(tree) is not str:
            if isinstance(tree, bool) or not isinstance(tree, str | int | float):
                raise NotReadableError
            tree = str(tree)
        try:
            value = kind(tree)
        except (ValueError, InvalidOperation):
            raise NotReadableError from None
        if not math.isfinite(value):
            raise NotReadableError
        return value

    return read
