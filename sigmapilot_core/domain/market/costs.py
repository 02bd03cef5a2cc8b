"""What one round trip costs, in basis points of its notional (spec 3).

cost = entry fee + exit fee + slippage in + slippage out + funding. A part that is not known makes the total unknown;
it is never replaced by a typical number.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.market.checks import finite, not_negative, positive
from sigmapilot_core.domain.params import MAJORS, CostParams

BPS = 10_000.0


class SlippageSource(StrEnum):
    """Measured on the book, or the static figure of an asset that has no book subscription at all."""

    BOOK = "book"
    STATIC = "static"


@dataclass(frozen=True, slots=True)
class HoldEstimate:
    """Expected holding time; `source` is `episodes` or `default`, `episodes` how many were behind it."""

    hours: float
    source: str
    episodes: int


@quick
@dataclass(frozen=True, slots=True)
class MarketQuote:
    """What costs are computed from: the book (None: none received), if it is subscribed, the hourly funding rate."""

    coin: str
    book: Book | None
    is_book_subscribed: bool
    funding_rate_hourly: float | None


@quick
@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """Costs of a round trip in bps of the notional; None is unknown and then `reason` says why.

    `funding_bps` is never negative; a credit that was not counted stands in `funding_credit_bps`.
    """

    coin: str
    direction: Direction
    notional_usd: float
    entry_fee_bps: float
    exit_fee_bps: float
    slippage_in_bps: float | None
    slippage_out_bps: float | None
    slippage_source: SlippageSource
    funding_bps: float | None
    funding_credit_bps: float
    hold_hours: float
    reason: str | None = None

    @property
    def fees_bps(self) -> float:
        """Entry and exit fee."""
        return self.entry_fee_bps + self.exit_fee_bps

    @property
    def slippage_bps(self) -> float | None:
        """Slippage in and out, None if either is unknown."""
        if self.slippage_in_bps is None or self.slippage_out_bps is None:
            return None
        return self.slippage_in_bps + self.slippage_out_bps

    @property
    def total_bps(self) -> float | None:
        """Everything together, None if a part is unknown."""
        if self.slippage_bps is None or self.funding_bps is None:
            return None
        return self.fees_bps + self.slippage_bps + self.funding_bps


def walk_slippage_bps(levels: Sequence[Level], mid: float, notional_usd: float) -> float | None:
    """|average price - mid|/mid in bps of filling the notional through one side of a book, best level first.

    The mid is the reference, so the half spread is contained once. None when the side is too thin.
    Errors: ValueError for a mid, notional, price or size that is not finite and positive.
    """
    positive("mid", mid)
    rest = positive("notional_usd", notional_usd)
    base = 0.0
    for level in levels:
        px, sz = positive("px of a book level", level.px), positive("sz of a book level", level.sz)
        taken = min(rest, px * sz)
        base += taken / px
        rest -= taken
        if rest <= 0:
            return abs(notional_usd / base - mid) / mid * BPS
    return None


def book_slippage_bps(
    book: Book | None, is_buy: bool, notional_usd: float, now_ms: int, max_age_s: float
) -> tuple[float | None, str | None]:
    """(slippage of one side in bps, None) or (None, reason): no book, stale, crossed or empty, too thin.

    A book received after `now_ms` is not sane and counts as unknown.
    """
    if book is None:
        return None, "no book received"
    age_s = (now_ms - book.received_ms) / 1000
    if not 0 <= age_s <= max_age_s:
        return None, f"book is {age_s:.1f} s old, at most {max_age_s:g} s are allowed"
    mid = book.mid
    if mid is None:
        return None, "book is one-sided or crossed"
    slippage = walk_slippage_bps(book.asks if is_buy else book.bids, mid, notional_usd)
    if slippage is None:
        return None, f"book is too thin for {notional_usd:.0f} USD on the {'ask' if is_buy else 'bid'} side"
    return slippage, None


def static_slippage_bps(coin: str, params: CostParams) -> float:
    """Slippage of one side for an asset without a book subscription: majors or others (spec 3)."""
    return params.static_slippage_major_bps if coin in MAJORS else params.static_slippage_other_bps


def funding_bps(rate_hourly: float, hold_hours: float, direction: Direction) -> tuple[float, float]:
    """(cost, credit not counted) in bps: hourly rate x hours x sign; a long pays a positive rate.

    Errors: ValueError for a rate that is not finite or hours below zero.
    """
    finite("rate_hourly", rate_hourly)
    signed = rate_hourly * not_negative("hold_hours", hold_hours) * direction.sign * BPS
    return max(0.0, signed), max(0.0, -signed)


def expected_hold_hours(closed_hold_hours: Sequence[float], params: CostParams) -> HoldEstimate:
    """Median hours of the pool's episodes in the asset closed within the look-back, 24 h with fewer than 10 (spec 3).

    Errors: ValueError for a duration that is not finite or below zero.
    """
    hours = [not_negative("hold hours of an episode", value) for value in closed_hold_hours]
    if len(hours) < params.hold_min_episodes:
        return HoldEstimate(params.default_hold_hours, "default", len(hours))
    return HoldEstimate(float(statistics.median(hours)), "episodes", len(hours))


def round_trip_cost(
    quote: MarketQuote,
    direction: Direction,
    notional_usd: float,
    hold_hours: float,
    now_ms: int,
    params: CostParams,
    *,
    max_book_age_s: float,
    taker_fee_bps: float | None = None,
) -> CostBreakdown:
    """Cost of entering and leaving `notional_usd` with taker orders (spec 3).

    `taker_fee_bps` is the account's own rate where known. Errors: ValueError for numbers that are not finite, a
    notional of zero or less, or a direction of none.
    """
    if direction is Direction.NONE:
        raise ValueError("direction is none; allowed is long or short.")
    positive("notional_usd", notional_usd)
    fee = finite("taker_fee_bps", params.taker_fee_bps if taker_fee_bps is None else taker_fee_bps)
    reasons: list[str] = []
    sides: list[float | None] = []
    for is_buy in (direction is Direction.LONG, direction is Direction.SHORT):
        if quote.is_book_subscribed:
            side, reason = book_slippage_bps(quote.book, is_buy, notional_usd, now_ms, max_book_age_s)
        else:
            side, reason = static_slippage_bps(quote.coin, params), None
        sides.append(side)
        if reason is not None and reason not in reasons:
            reasons.append(reason)
    rate = quote.funding_rate_hourly
    cost: float | None = None
    credit = 0.0
    if rate is None or not math.isfinite(rate):
        reasons.append("funding rate is not known")
    else:
        cost, credit = funding_bps(rate, hold_hours, direction)
    return CostBreakdown(
        coin=quote.coin,
        direction=direction,
        notional_usd=notional_usd,
        entry_fee_bps=fee,
        exit_fee_bps=fee,
        slippage_in_bps=sides[0],
        slippage_out_bps=sides[1],
        slippage_source=SlippageSource.BOOK if quote.is_book_subscribed else SlippageSource.STATIC,
        funding_bps=cost,
        funding_credit_bps=credit,
        hold_hours=hold_hours,
        reason="; ".join(reasons) or None,
    )
