"""Everything one decision is made of, as one frozen value that can be stored and decided again (spec 4.3).

Its canonical JSON is what the decision's id is made of. A part that is not known is None; `without_unknowns` turns
numbers that are not finite into exactly that.
"""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any, Union, get_args, get_origin

from sigmapilot_core.domain.canonical import canonical_json, field_names
from sigmapilot_core.domain.codec import Known, from_json
from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.events import Book, Direction
from sigmapilot_core.domain.frozen import Remembering, quick, remember
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.traders.correlation import PairCorrelation

MAX_CLOCK_OFFSET_S = 5.0
"""Largest difference between the venue's stamp of a book and our receive time; beyond it ages mean nothing."""


class _WithFigures(Remembering):
    """Room for what follows from a vote, made once (`estimate.figures_of`)."""

    __slots__ = ("_figures",)

    _figures: Any


@quick
@dataclass(frozen=True, slots=True)
class Voter(_WithFigures):
    """One vote with its fills and the voter's posterior; `n_episodes` are the closed episodes behind it."""

    address: str
    direction: Direction
    voted_at_ms: int
    price: Decimal | None
    notional: Decimal | None
    fill_ids: tuple[str, ...]
    m: float | None
    kappa: float | None
    alpha: float | None
    beta: float | None
    n_episodes: int = 0


@quick
@dataclass(frozen=True, slots=True)
class DecisionInputs(Remembering):
    """Inputs of one decision; instants in milliseconds, None where unknown.

    `now_ms` is the receive time of the event, or the deadline of the timer, that caused the evaluation;
    `trigger_event_id` names it. `voters` are ordered by time, then address; `pairs` are the correlations known among
    those who agree. `context_mid` (received at `context_received_ms`) is the mid only where no book is subscribed.
    `venue_clock_offset_ms` is receive time minus the venue's stamp. `unknown_reason` says why the record of this coin
    may be incomplete. `taker_fee_bps` is the account's own rate.
    """

    asset: str
    now_ms: int
    trigger_event_id: str
    mode: str
    snapshot_version: int
    snapshot_hash: str
    settings_hash: str
    voters: tuple[Voter, ...]
    pairs: tuple[PairCorrelation, ...] = ()
    rho0: float | None = None
    book: Book | None = None
    is_book_subscribed: bool = True
    context_mid: Decimal | None = None
    context_received_ms: int | None = None
    venue_clock_offset_ms: int | None = None
    feed_last_frame_ms: int | None = None
    unknown_reason: str | None = None
    volatility: VolatilityEstimate | None = None
    regime: RegimeEstimate | None = None
    funding_rate_hourly: float | None = None
    taker_fee_bps: float | None = None
    costs_as_of_ms: int | None = None
    hold: HoldEstimate | None = None
    calibration: CalibrationMaps | None = field(default_factory=CalibrationMaps)
    n_outcomes: int = 0
    posterior_as_of_ms: int | None = None
    correlation_as_of_ms: int | None = None
    leaderboard_as_of_ms: int | None = None
    risk: RiskState | None = None

    @property
    def mid(self) -> float | None:
        """Mid of the book, or the venue's mid where no book is subscribed; not judged for its age."""
        if self.is_book_subscribed:
            return None if self.book is None else self.book.mid
        return None if self.context_mid is None else float(self.context_mid)

    def to_json(self) -> str:
        """Canonical JSON. Errors: ValueError naming a number that is not finite; see `without_unknowns`."""
        return canonical_json(self)

    @classmethod
    def from_json(cls, text: str, known: Known | None = None) -> DecisionInputs:
        """The inputs back from their JSON, sharing what is known. Errors: ValueError naming the field."""
        return from_json(cls, text, "inputs", known)


def at_or_after(now_ms: int, stamp_ms: int) -> int:
    """`now_ms`, or a stamp up to `MAX_CLOCK_OFFSET_S` after it: a timer counts for its deadline, and what arrived
    between the deadline and its firing is not older than nothing.
    """
    return stamp_ms if now_ms < stamp_ms <= now_ms + 1000 * MAX_CLOCK_OFFSET_S else now_ms


def is_sane(book: Book) -> bool:
    """Two sides that do not cross, every price and size finite and above zero."""
    levels = (*book.bids, *book.asks)
    return all(0 < level.px < math.inf and 0 < level.sz < math.inf for level in levels) and book.mid is not None


def without_unknowns(inputs: DecisionInputs, finite: tuple[str, ...] = ()) -> DecisionInputs:
    """The inputs with every number that is not finite made unknown, together with the smallest part that cannot do
    without it. Fields named in `finite` are known to hold nothing else and are not looked at.

    Errors: ValueError where that would be the inputs themselves.
    """
    names = _fields_with_numbers(DecisionInputs)
    if finite:
        names = tuple(item for item in names if item[0] not in finite)
    cleaned = _clean_dataclass(names, inputs)
    if cleaned is _BROKEN:
        raise ValueError(f"inputs of {inputs.asset} hold a number that is not finite where one is required")
    return typing.cast(DecisionInputs, cleaned)


def finite_pairs(pairs: Iterable[PairCorrelation]) -> tuple[PairCorrelation, ...]:
    """Pairs as `without_unknowns` leaves them."""
    return tuple(_clean(pair) for pair in pairs)


def finite_voter(voter: Voter) -> Voter:
    """A voter as `without_unknowns` leaves him."""
    return typing.cast(Voter, _clean(voter))


_BROKEN = object()
_NEVER_NUMBERS = (str, int, bool, tuple[str, ...])


def _clean(value: Any) -> Any:
    """`value` itself if all of it is finite, else a copy with None for broken optional parts, else `_BROKEN`."""
    kind: type = type(value)
    cleaner = _cleaner(kind)
    return value if cleaner is None else cleaner(value)


@functools.cache
def _cleaner(kind: type) -> Callable[[Any], Any] | None:
    """How values of a type are cleaned; None for types without numbers that could be broken."""
    if is_dataclass(kind):
        clean = functools.partial(_clean_dataclass, _fields_with_numbers(kind))
        return functools.partial(_clean_once, clean) if issubclass(kind, Remembering) else clean
    for base, cleaner in _CLEANERS:
        if issubclass(kind, base):
            return cleaner
    return None


def _clean_once(cleaner: Callable[[Any], Any], value: Any) -> Any:
    """A value that was found finite is not looked at again."""
    try:
        if value._is_finite:
            return value
    except AttributeError:
        pass
    cleaned = cleaner(value)
    if cleaned is value:
        remember(value, "_is_finite", True)
    return cleaned


def _clean_dataclass(names: tuple[tuple[str, bool], ...], value: Any) -> Any:
    changed = {}
    for name, is_optional in names:
        held = getattr(value, name)
        cleaned = _clean(held)
        if cleaned is held:
            continue
        if cleaned is _BROKEN:
            if not is_optional:
                return _BROKEN
            cleaned = None
        changed[name] = cleaned
    return replace(value, **changed) if changed else value


def _clean_items(value: Any, items: Any, rebuild: Callable[[list[Any]], Any]) -> Any:
    cleaned = [_clean(item) for item in items]
    if any(item is _BROKEN for item in cleaned):
        return _BROKEN
    return value if all(a is b for a, b in zip(cleaned, items, strict=True)) else rebuild(cleaned)


_CLEANERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (float, lambda value: value if math.isfinite(value) else _BROKEN),
    (Decimal, lambda value: value if value.is_finite() else _BROKEN),
    (tuple, lambda value: _clean_items(value, value, tuple)),
    (Mapping, lambda value: _clean_items(value, value.values(), lambda items: dict(zip(value, items, strict=True)))),
)


@functools.cache
def _fields_with_numbers(cls: type) -> tuple[tuple[str, bool], ...]:
    """(name, may it be None?) of the fields that can hold a float or a Decimal at any depth."""
    hints = typing.get_type_hints(cls)
    found = []
    for name in field_names(cls):
        members = get_args(hints[name]) if get_origin(hints[name]) in (Union, types.UnionType) else (hints[name],)
        kinds = [member for member in members if member is not type(None)]
        if not all(kind in _NEVER_NUMBERS or (isinstance(kind, type) and issubclass(kind, Enum)) for kind in kinds):
            found.append((name, len(kinds) < len(members)))
    return tuple(found)
