"""Histories that take several requests: each is a generator that yields calls and is sent their pages. No I/O.

Pages begin at the last instant of the page before, inclusively, so they overlap (spec sections 1.0 and 1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sigmapilot_core.adapters.hyperliquid import calls
from sigmapilot_core.adapters.hyperliquid.calls import Call
from sigmapilot_core.adapters.hyperliquid.messages import CashFlowPage, FillPage, PaymentPage, TwapPage
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.venue import CashFlow, FundingPayment, FundingRate

T = TypeVar("T")
Paged = Generator[Call[Any], Any, T]
"""Yields calls, is sent their replies, returns the whole."""

MAX_PAGES = 500  # 1 000 000 fills of one account; more is a venue that repeats itself


@dataclass(frozen=True, slots=True)
class FillHistory:
    """All fills of a span in execution order, each once; `twap_fills` of them are slices of time-weighted orders.

    `complete` is False where the paging had to stop early: more rows in one millisecond than a page holds, or too
    many pages. What the venue no longer keeps cannot be seen here; the chain of start positions shows it.
    """

    fills: tuple[Fill, ...]
    twap_fills: int
    ignored: int
    pages: int
    complete: bool


@dataclass(slots=True)
class _Walk:
    """A walk over ascending pages whose start is inclusive."""

    at_ms: int
    end_ms: int | None
    page_rows: int
    pages: int = 0
    complete: bool = True
    done: bool = False

    def take(self, rows: int, last_ms: int | None) -> None:
        """Move to the next page, or end: a page that is not full is the last one."""
        self.pages += 1
        full = rows >= self.page_rows and last_ms is not None
        stuck = full and (last_ms or 0) <= self.at_ms
        if stuck or (full and self.pages >= MAX_PAGES):
            self.complete = False
        repeated = full and (last_ms or 0) < self.at_ms
        if not full or repeated or self.pages >= MAX_PAGES:
            self.done = True
            return
        self.at_ms = max(last_ms or 0, self.at_ms + 1)
        self.done = self.end_ms is not None and self.at_ms > self.end_ms


def _each_once(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """By (user, time, coin, tid), sorted by time only: within a millisecond the venue's order is execution order."""
    seen: dict[tuple[str, int, str, int], Fill] = {}
    for fill in fills:
        seen.setdefault(fill.key, fill)
    return tuple(sorted(seen.values(), key=lambda f: f.time_ms))


def _walk_fills(walk: _Walk, page_from: Callable[[int], Call[Any]]) -> Paged[tuple[list[Fill], int]]:
    found, ignored = list[Fill](), 0
    while not walk.done:
        page: FillPage | TwapPage = yield page_from(walk.at_ms)
        found.extend(page.fills)
        ignored += page.ignored
        walk.take(page.rows, page.last_ms)
    return found, ignored


def fill_history(
    user: str, start_ms: int, end_ms: int | None = None, known_since_ms: int | None = None, with_twap: bool = True
) -> Paged[FillHistory]:
    """All fills of `user` in [start, end]; slices of time-weighted orders, which the venue lists apart, merged in."""
    makers: list[Callable[..., Call[Any]]] = [calls.fills_page, calls.twap_page] if with_twap else [calls.fills_page]
    walks = [_Walk(start_ms, end_ms, calls.FILLS_PAGE) for _ in makers]
    found, ignored = list[Fill](), 0
    for walk, maker in zip(walks, makers, strict=True):
        fills, others = yield from _walk_fills(walk, partial(maker, user, end_ms=end_ms, known_since_ms=known_since_ms))
        found += fills
        ignored += others
    unique = _each_once(found)
    twaps = sum(f.twap_id is not None for f in unique)
    return FillHistory(unique, twaps, ignored, sum(w.pages for w in walks), all(w.complete for w in walks))


def candles(coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Paged[tuple[Bar, ...]]:
    """Candles opening in [start, end], ascending, each once; a span of more than 5000 is asked for in pieces."""
    piece = calls.CANDLES_PAGE * interval_ms
    bars: dict[int, Bar] = {}
    for first in range(start_ms, end_ms + 1, piece):
        page = yield calls.candle_page(coin, interval_ms, first, min(end_ms, first + piece - 1))
        bars.update((bar.open_ms, bar) for bar in page)
    return tuple(bars[opened] for opened in sorted(bars))


def funding_history(coin: str, start_ms: int, end_ms: int | None = None) -> Paged[tuple[FundingRate, ...]]:
    """Hourly funding rates of a coin, ascending, each once."""
    walk, rates = _Walk(start_ms, end_ms, calls.ROWS_PAGE), dict[int, FundingRate]()
    while not walk.done:
        page = yield calls.funding_page(coin, walk.at_ms, end_ms)
        rates.update((rate.time_ms, rate) for rate in page)
        walk.take(len(page), page[-1].time_ms if page else None)
    return tuple(rates[at] for at in sorted(rates))


def _without_overlap(found: list[T], at_ms: int, time_of: Callable[[T], int]) -> list[T]:
    """Without the last instant, which the next page repeats as a whole: two equal rows are two movements."""
    return [item for item in found if time_of(item) < at_ms]


def cash_flows(user: str, start_ms: int, end_ms: int | None = None) -> Paged[tuple[CashFlow, ...]]:
    """Deposits, withdrawals and transfers of an account, ascending."""
    walk, flows = _Walk(start_ms, end_ms, calls.ROWS_PAGE), list[CashFlow]()
    while not walk.done:
        page: CashFlowPage = yield calls.cash_flow_page(user, walk.at_ms, end_ms)
        flows = _without_overlap(flows, walk.at_ms, lambda f: f.time_ms) + list(page.flows)
        walk.take(page.rows, page.last_ms)
    return tuple(flows)


def funding_payments(user: str, start_ms: int, end_ms: int | None = None) -> Paged[tuple[FundingPayment, ...]]:
    """Funding payments of an account, ascending."""
    walk, payments = _Walk(start_ms, end_ms, calls.ROWS_PAGE), list[FundingPayment]()
    while not walk.done:
        page: PaymentPage = yield calls.payments_page(user, walk.at_ms, end_ms)
        payments = _without_overlap(payments, walk.at_ms, lambda p: p.time_ms) + list(page.payments)
        walk.take(page.rows, page.last_ms)
    return tuple(payments)
