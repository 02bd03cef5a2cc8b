"""How complete the feed is: sampled traders' fills as the venue lists them, against what the feed stored.

Every fill the venue lists for a sampled trader inside the window gets exactly one verdict:

- `present`: stored with the same price, size and side (of these, `late`: received more than a limit after its time);
- `wrong`: stored, but price, size or side differs;
- `missing_known`: not stored, and a gap that the feed noticed itself covers it;
- `missing_silent`: not stored, and nobody had noticed;
- not compared: `before_tracking` (older than the day the trader was followed from) or `in_statement` (its public trade
  was received in time and was not applied, because the trader's positions were just being asked for: the venue's
  statement contains it).

`extra` are fills we stored that the venue does not list. share present = present / compared, compared = present +
wrong + missing (known and silent alike: a loss one knows of is still a loss). Nothing compared: the share is unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

import numpy as np

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS


@dataclass(frozen=True, slots=True)
class CompletenessParams:
    """How much is sampled and what is demanded. A window ends `settle_ms` before now and is at most `max_window_ms`."""

    sample_size: int = 25  # SIGMAPILOT_COMPLETENESS_SAMPLE
    late_ms: int = 10_000  # SIGMAPILOT_COMPLETENESS_LATE_S
    min_share: float = 0.999  # SIGMAPILOT_COMPLETENESS_MIN_SHARE
    settle_ms: int = 120_000
    max_window_ms: int = DAY_MS
    max_fills: int = 10_000


class Verdict(StrEnum):
    """What became of one fill."""

    PRESENT = "present"
    WRONG = "wrong"
    MISSING_KNOWN = "missing_known"
    MISSING_SILENT = "missing_silent"
    EXTRA = "extra"
    BEFORE_TRACKING = "before_tracking"
    IN_STATEMENT = "in_statement"


FAULTS = frozenset({Verdict.WRONG, Verdict.MISSING_KNOWN, Verdict.MISSING_SILENT, Verdict.EXTRA})
"""What is kept fill by fill."""

Key = tuple[int, str, int]
"""(time, coin, tid) of a trader's fill."""


@dataclass(frozen=True, slots=True)
class StoredFill:
    """What the feed stored of a fill of one trader."""

    is_buy: bool
    px: Decimal
    sz: Decimal
    received_ms: int


@dataclass(frozen=True, slots=True)
class KnownGap:
    """A stretch the feed reported itself; `coin` or `user` None means any."""

    id: str
    coin: str | None
    user: str | None
    from_ms: int
    to_ms: int

    def covers(self, fill: Fill) -> bool:
        """Whether a fill may have been lost in it."""
        return (
            self.from_ms <= fill.time_ms <= self.to_ms
            and self.coin in (None, fill.coin)
            and self.user in (None, fill.user)
        )


@dataclass(frozen=True, slots=True)
class FeedRecord:
    """What the feed has of one trader in the window: applied fills, receive times of all public trades of his by key,
    and the instant from which he was followed.
    """

    stored: Mapping[Key, StoredFill]
    heard_ms: Mapping[Key, int]
    tracked_since_ms: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Verdict on one fill; `detail` says what differs, `gap_id` names the gap of a known loss."""

    user: str
    time_ms: int
    coin: str
    tid: int
    verdict: Verdict
    is_late: bool = False
    gap_id: str | None = None
    detail: str = ""

    @property
    def hour_ms(self) -> int:
        """First instant of its hour, UTC."""
        return self.time_ms // HOUR_MS * HOUR_MS


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one coin and hour, or of many together."""

    present: int = 0
    late: int = 0
    wrong: int = 0
    missing_known: int = 0
    missing_silent: int = 0
    extra: int = 0
    before_tracking: int = 0
    in_statement: int = 0

    @property
    def compared(self) -> int:
        """Fills of the venue that should have been stored."""
        return self.present + self.wrong + self.missing

    @property
    def missing(self) -> int:
        """Not stored, noticed or not."""
        return self.missing_known + self.missing_silent

    @property
    def share_present(self) -> float | None:
        """present / compared; None where nothing was compared."""
        return self.present / self.compared if self.compared else None

    def with_one(self, item: Comparison) -> Tally:
        """One comparison more."""
        name = item.verdict.value
        counts = {name: getattr(self, name) + 1, "late": self.late + item.is_late}
        return replace(self, **counts)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def window_of(
    last_to_ms: int | None, first_tracked_ms: int, now_ms: int, params: CompletenessParams
) -> tuple[int, int] | None:
    """[from, to) to be sampled next: on from the last one, at most `max_window_ms` long; None while it is too young."""
    to_ms = now_ms - params.settle_ms
    from_ms = max(first_tracked_ms if last_to_ms is None else last_to_ms, to_ms - params.max_window_ms)
    return (from_ms, to_ms) if from_ms < to_ms else None


def sample_key(from_ms: int, to_ms: int) -> int:
    """First 128 bits, big-endian, of SHA-256 of "completeness:<from>:<to>": the draw can be repeated anywhere."""
    digest = hashlib.sha256(f"completeness:{from_ms}:{to_ms}".encode()).digest()
    return int.from_bytes(digest[:16], "big")


def draw_sample(tracked: Iterable[str], size: int, key: int) -> tuple[str, ...]:
    """`size` of the tracked traders, each equally likely: a permutation by Philox(key) of the sorted addresses."""
    ordered = sorted(set(tracked))
    order = np.random.Generator(np.random.Philox(key=key)).permutation(len(ordered))
    return tuple(ordered[index] for index in order[:size])


def compare(
    user: str, listed: Sequence[Fill], record: FeedRecord, gaps: Sequence[KnownGap], params: CompletenessParams
) -> list[Comparison]:
    """A verdict on every fill of one trader: those the venue lists, in its order, then those it does not list."""
    found = [_verdict(fill, record, gaps, params) for fill in listed]
    known = {(fill.time_ms, fill.coin, fill.tid) for fill in listed}
    found += [
        Comparison(user, *key, Verdict.EXTRA, detail="the venue does not list it")
        for key in sorted(record.stored.keys() - known)
    ]
    return found


def _verdict(fill: Fill, record: FeedRecord, gaps: Sequence[KnownGap], params: CompletenessParams) -> Comparison:
    key = (fill.time_ms, fill.coin, fill.tid)
    held, heard_ms = record.stored.get(key), record.heard_ms.get(key)
    if held is not None:
        return _of_stored(fill, held, params)
    if fill.time_ms < record.tracked_since_ms:
        return Comparison(fill.user, *key, Verdict.BEFORE_TRACKING)
    if heard_ms is not None and heard_ms - fill.time_ms <= params.late_ms:
        return Comparison(fill.user, *key, Verdict.IN_STATEMENT)
    detail = "never heard" if heard_ms is None else f"heard {heard_ms - fill.time_ms} ms late and not applied"
    gap = next((gap for gap in gaps if gap.covers(fill)), None)
    if gap is not None:
        return Comparison(fill.user, *key, Verdict.MISSING_KNOWN, gap_id=gap.id, detail=detail)
    return Comparison(fill.user, *key, Verdict.MISSING_SILENT, detail=detail)


def _of_stored(fill: Fill, held: StoredFill, params: CompletenessParams) -> Comparison:
    key = (fill.time_ms, fill.coin, fill.tid)
    pairs = (("side", held.is_buy, fill.is_buy), ("price", held.px, fill.px), ("size", held.sz, fill.sz))
    wrong = [f"{name} is {ours}, the venue says {theirs}" for name, ours, theirs in pairs if ours != theirs]
    if wrong:
        return Comparison(fill.user, *key, Verdict.WRONG, detail="; ".join(wrong))
    is_late = held.received_ms - fill.time_ms > params.late_ms
    return Comparison(fill.user, *key, Verdict.PRESENT, is_late=is_late)


def tallies(found: Iterable[Comparison]) -> dict[tuple[str, int], Tally]:
    """Counts by (coin, hour)."""
    cells: dict[tuple[str, int], Tally] = {}
    for item in found:
        cell = (item.coin, item.hour_ms)
        cells[cell] = cells.get(cell, Tally()).with_one(item)
    return cells


def total(cells: Iterable[Tally]) -> Tally:
    """All together."""
    return sum(cells, Tally())
