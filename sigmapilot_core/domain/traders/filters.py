"""The seven quality filters of the leaderboard, and who is tracked (spec 1.2, 1.3).

All seven are evaluated for every row. A figure that is missing, not a number or beyond anything an account can show
is unknown, never a failure and never a pass. `evaluate` is the clear form; `evaluate_frame` the same over columns.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.events import Fill, Verdict
from sigmapilot_core.domain.params import DAY_MS, MAJORS, FilterParams, TrackingParams
from sigmapilot_core.domain.venue import LeaderboardRow

ABSURD_USD = 1e12
"""No account, PnL or weekly volume of one trader reaches a trillion USD; beyond it the figure is unknown."""
ABSURD_ROI = 1e6
"""A return of a million times is a broken figure."""

_DEFAULTS = FilterParams()
_TRACKING = TrackingParams()


class FilterName(StrEnum):
    """The filters in order of evaluation."""

    MONTH_PNL = "month_pnl"
    MONTH_ROI = "month_roi"
    ACCOUNT_VALUE = "account_value"
    WEEK_VOLUME = "week_volume"
    NOT_HFT = "not_hft"
    NO_SUB_ACCOUNTS = "no_sub_accounts"
    BTC_ETH_HISTORY = "btc_eth_history"


LEADERBOARD_FILTERS = tuple(FilterName)[:4]
REQUEST_FILTERS = tuple(FilterName)[4:]


@dataclass(frozen=True, slots=True)
class TraderFacts:
    """What requests told of a trader; None is unknown (not asked yet, or the request failed)."""

    orders_per_day: float | None = None
    has_sub_accounts: bool | None = None
    has_major_fill: bool | None = None


@dataclass(frozen=True, slots=True)
class FilterCheck:
    """One verdict; `value` None is unknown, flags are 1 and 0. `threshold` is the bound, None for flags."""

    name: FilterName
    verdict: Verdict
    value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class FilterResult:
    """All seven checks of one trader, in order."""

    address: str
    checks: tuple[FilterCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """Fail if any fails, else unknown if any is, else pass."""
        return combined(check.verdict for check in self.checks)

    @property
    def leaderboard_verdict(self) -> Verdict:
        """The verdict of filters 1-4 alone: who is worth a request."""
        return combined(check.verdict for check in self.checks[: len(LEADERBOARD_FILTERS)])

    @property
    def failed(self) -> tuple[FilterName, ...]:
        """Names of the failed filters."""
        return tuple(check.name for check in self.checks if check.verdict is Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """Counts of one filter over all rows; `surviving` passed this one and all before it."""

    name: FilterName
    passed: int
    failed: int
    unknown: int
    surviving: int


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail if any fails, else unknown if any is unknown, else pass; none at all is unknown."""
    seen = set(verdicts)
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    return Verdict.PASS if seen == {Verdict.PASS} else Verdict.UNKNOWN


def evaluate(row: LeaderboardRow, facts: TraderFacts | None = None, params: FilterParams = _DEFAULTS) -> FilterResult:
    """All seven verdicts of one row; without facts the filters 5-7 are unknown."""
    facts = facts or TraderFacts()
    month, week = row.windows.get("month"), row.windows.get("week")
    roi_note = " (approximate)" if row.roi_approximate else ""
    volume = week.volume_usd if week else None
    checks = (
        _at_least(FilterName.MONTH_PNL, month.pnl_usd if month else None, params.min_pnl_usd, ABSURD_USD),
        _at_least(FilterName.MONTH_ROI, month.roi if month else None, params.min_roi, ABSURD_ROI, roi_note),
        _at_least(FilterName.ACCOUNT_VALUE, row.account_value_usd, params.min_account_value_usd, ABSURD_USD),
        _at_least(FilterName.WEEK_VOLUME, _not_negative(volume), params.min_week_volume_usd, ABSURD_USD),
        _not_hft(_not_negative(facts.orders_per_day), params.max_orders_per_day),
        _flag(FilterName.NO_SUB_ACCOUNTS, facts.has_sub_accounts, wanted=False),
        _flag(FilterName.BTC_ETH_HISTORY, facts.has_major_fill, wanted=True),
    )
    return FilterResult(row.address, checks)


def funnel(results: Sequence[FilterResult]) -> tuple[FunnelRow, ...]:
    """Counts per filter, in order, with the survivors of the sequence."""
    rows: list[FunnelRow] = []
    alive = [True] * len(results)
    for i, name in enumerate(FilterName):
        verdicts = [result.checks[i].verdict for result in results]
        alive = [a and v is Verdict.PASS for a, v in zip(alive, verdicts, strict=True)]
        counts = (verdicts.count(Verdict.PASS), verdicts.count(Verdict.FAIL), verdicts.count(Verdict.UNKNOWN))
        rows.append(FunnelRow(name, *counts, sum(alive)))
    return tuple(rows)


def orders_per_day(fills: Iterable[Fill]) -> float | None:
    """Distinct order ids / max(span in days, 1) over the fills that carry one; None without any (spec 1.2).

    A burst shorter than a day is judged as a whole day. Fills of the public feed have no order id and tell nothing.
    """
    orders: set[int] = set()
    first = last = None
    for fill in fills:
        if fill.oid is None:
            continue
        orders.add(fill.oid)
        first = fill.time_ms if first is None else min(first, fill.time_ms)
        last = fill.time_ms if last is None else max(last, fill.time_ms)
    if first is None or last is None:
        return None
    return len(orders) / max((last - first) / DAY_MS, 1.0)


def facts_of(fills: Sequence[Fill], has_sub_accounts: bool | None) -> TraderFacts:
    """Facts from a fetched history: a major fill is one of BTC or ETH; no fill at all leaves both facts unknown."""
    has_major = any(fill.coin in MAJORS for fill in fills) if fills else None
    return TraderFacts(orders_per_day(fills), has_sub_accounts, has_major)


def recording_pool(results: Iterable[FilterResult], recorded: Collection[str]) -> tuple[str, ...]:
    """The pool `recording`: traders that pass filters 1-4, fail none of 5-7, and occur in the recording; sorted."""
    seen = frozenset(recorded)
    return tuple(
        sorted(
            result.address
            for result in results
            if result.leaderboard_verdict is Verdict.PASS and not result.failed and result.address in seen
        )
    )


def tracked_traders(
    rows: Iterable[LeaderboardRow],
    pool: Collection[str],
    pinned: Collection[str],
    params: TrackingParams = _TRACKING,
) -> tuple[str, ...]:
    """Whose fills are followed: pinned, pool, then active rows by month PnL, up to `max_traders` (spec 1.3).

    A row is active with an account value of at least 10 000 USD and any volume this week. Pinned accounts and the
    pool are never cut. Unknown month PnL comes last; ties by address.
    """
    first = sorted(set(pinned)) + sorted(set(pool) - set(pinned))
    taken = set(first)
    active: list[tuple[float, str]] = []
    for row in rows:
        month, week = row.windows.get("month"), row.windows.get("week")
        volume = _sane(week.volume_usd if week else None, ABSURD_USD)
        value = _sane(row.account_value_usd, ABSURD_USD)
        if row.address in taken or not volume or volume < 0 or value is None or value < params.min_account_value_usd:
            continue
        pnl = _sane(month.pnl_usd if month else None, ABSURD_USD)
        active.append((math.inf if pnl is None else -pnl, row.address))
    room = max(0, params.max_traders - len(first))
    return (*first, *(address for _, address in sorted(set(active))[:room]))


def _sane(value: float | None, absurd: float) -> float | None:
    """The figure, or None where it is missing, not finite or beyond belief."""
    return value if value is not None and math.isfinite(value) and abs(value) <= absurd else None


def _not_negative(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None


def _at_least(name: FilterName, raw: float | None, minimum: float, absurd: float, note: str = "") -> FilterCheck:
    value = _sane(raw, absurd)
    if value is None:
        return FilterCheck(name, Verdict.UNKNOWN, None, minimum, "missing or not credible")
    is_passed = value >= minimum
    text = f"{value:g}{note} is {'at least' if is_passed else 'below'} {minimum:g}"
    return FilterCheck(name, Verdict.PASS if is_passed else Verdict.FAIL, value, minimum, text)


def _not_hft(raw: float | None, maximum: float) -> FilterCheck:
    value = _sane(raw, ABSURD_USD)
    if value is None:
        return FilterCheck(FilterName.NOT_HFT, Verdict.UNKNOWN, None, maximum, "orders are not known")
    is_passed = value <= maximum
    text = f"{value:g} orders a day are {'at most' if is_passed else 'above'} {maximum:g}"
    return FilterCheck(FilterName.NOT_HFT, Verdict.PASS if is_passed else Verdict.FAIL, value, maximum, text)


def _flag(name: FilterName, value: bool | None, wanted: bool) -> FilterCheck:
    if value is None:
        return FilterCheck(name, Verdict.UNKNOWN, None, None, "not asked, or the request failed")
    verdict = Verdict.PASS if value is wanted else Verdict.FAIL
    subject = "sub-accounts" if name is FilterName.NO_SUB_ACCOUNTS else "BTC or ETH fills"
    return FilterCheck(name, verdict, float(value), None, f"has {subject}" if value else f"has no {subject}")
