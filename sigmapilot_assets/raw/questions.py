"""What is asked of one trader, and of whom it is due: never the same question twice within 24 hours (spec 1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sigmapilot_core.adapters.postgres import history_store
from sigmapilot_core.adapters.postgres.history_store import MAX_FILLS, TraderFacts
from sigmapilot_core.domain.events import Fill, Verdict
from sigmapilot_core.domain.params import DAY_MS, FilterParams
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.venue import LeaderboardRow
from sigmapilot_core.ports import VenueReader, VenueUnavailableError

HISTORY_DAYS = 60
ASK_AGAIN_AFTER = timedelta(hours=24)
_FILLS, _SUB_ACCOUNTS = "fills", "subAccounts"


def worth_asking(rows: Sequence[LeaderboardRow], pinned: Sequence[str], params: FilterParams) -> list[str]:
    """Pinned accounts, then survivors of filters 1-4, best month PnL first."""
    survivors = [
        row
        for row in rows
        if row.address not in pinned and filters.evaluate(row, params=params).leaderboard_verdict is Verdict.PASS
    ]
    best = sorted(survivors, key=lambda row: (-(row.windows["month"].pnl_usd or 0), row.address))
    return [*pinned, *(row.address for row in best)]


def is_answered(known: Mapping[str, TraderFacts], address: str, now: datetime) -> bool:
    """Whether every question was answered within 24 hours."""
    facts = known.get(address)
    return facts is not None and facts.error is None and now - facts.asked_at < ASK_AGAIN_AFTER


def ask(
    venue: VenueReader, address: str, now: datetime, before: TraderFacts | None = None
) -> tuple[TraderFacts, Sequence[Fill]]:
    """One trader's fills and facts; a request that fails leaves its fact unknown, with the reason.

    `before` is the newest answer: what it brought within 24 hours is taken over, and only the rest is asked.
    """
    recent = before if before is not None and now - before.asked_at < ASK_AGAIN_AFTER else None
    errors: list[str] = []
    fills: Sequence[Fill] = ()
    held = recent if recent is not None and _has_answer(recent, _FILLS) else None
    has_sub_accounts = recent.has_sub_accounts if recent is not None else None
    if held is None:
        until = int(now.timestamp() * 1000)
        try:
            fills = venue.fill_history(address, until - HISTORY_DAYS * DAY_MS, until, MAX_FILLS)
        except VenueUnavailableError as error:
            errors.append(f"{_FILLS}: {error}")
    if recent is None or not _has_answer(recent, _SUB_ACCOUNTS):
        try:
            has_sub_accounts = bool(venue.sub_accounts(address).users)
        except VenueUnavailableError as error:
            has_sub_accounts = None
            errors.append(f"{_SUB_ACCOUNTS}: {error}")
    return _facts(address, now, fills, held, has_sub_accounts, "; ".join(errors) or None), fills


def _has_answer(facts: TraderFacts, question: str) -> bool:
    return f"{question}: " not in (facts.error or "")


def _facts(
    address: str,
    now: datetime,
    fills: Sequence[Fill],
    held: TraderFacts | None,
    has_sub_accounts: bool | None,
    error: str | None,
) -> TraderFacts:
    """The answer as it is stored: from the fills, or from those that an earlier answer counted."""
    if held is not None:
        return TraderFacts(
            address,
            now,
            held.orders_per_day,
            has_sub_accounts,
            held.has_major_fill,
            held.fill_count,
            held.first_fill_at,
            held.last_fill_at,
            error,
        )
    facts = filters.facts_of(fills, has_sub_accounts)
    times = [fill.time_ms for fill in fills]
    return TraderFacts(
        address=address,
        asked_at=now,
        orders_per_day=facts.orders_per_day,
        has_sub_accounts=facts.has_sub_accounts,
        has_major_fill=facts.has_major_fill,
        fill_count=len(fills),
        first_fill_at=history_store.at(min(times)) if times else None,
        last_fill_at=history_store.at(max(times)) if times else None,
        error=error,
    )
