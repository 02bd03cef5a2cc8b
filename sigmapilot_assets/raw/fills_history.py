"""Histories of the traders that pass the leaderboard's filters: fills, and the facts of filters 5-7 (spec 1.2)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.simulated_past import Past, answers_of, backdated, past_of
from sigmapilot_core.adapters.postgres import history_store, leaderboard_store, pinned_store
from sigmapilot_core.domain.events import Fill, Verdict
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.venue import LeaderboardRow
from sigmapilot_core.ports import VenueReader, VenueUnavailableError

HISTORY_DAYS = 60
MAX_FILLS = 10_000
ASK_AGAIN_AFTER = timedelta(hours=24)


@dg.asset(
    name="raw_hyperliquid__fills_history",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__leaderboard"],
)
def fills_history(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Fetch what filters 5-7 and first histories need, best month PnL first, never twice within 24 hours.

    A recording cannot answer these questions: there the facts stay unknown. A restart continues where it stopped,
    because each trader is stored before the next is asked.
    """
    if platform.pool_flavour == "recording":
        return dg.MaterializeResult(metadata={"asked": 0, "reason": "a recording cannot answer; filters 5-7 unknown"})
    now = platform.now()
    with platform.transaction() as connection:
        day = leaderboard_store.newest_day(connection, now.date())
        rows = leaderboard_store.read_leaderboard(connection, day) if day else []
        known = history_store.read_facts(connection)
        pinned = pinned_store.pinned_addresses(connection)
        past = _simulated_past(connection, platform)
    wanted = _wanted(rows, pinned, known, now, platform)
    wanted += sorted(set(past) - set(known) - set(wanted))  # who passed the filters before, and may be dead by now
    fills, failed = 0, 0
    with platform.open_venue() as venue:
        for done, address in enumerate(wanted, start=1):
            asked_at = platform.now()
            facts, history = ask(venue, address, asked_at)
            with platform.transaction() as connection:
                if address in past and address not in known and facts.error is None:
                    history = _store_past(connection, past[address], facts, history)
                fills += history_store.store_history(connection, facts, history, _ms(asked_at))
            failed += facts.error is not None
            if done % 25 == 0:
                context.log.info("histories: %d of %d traders, %d fills", done, len(wanted), fills)
    return dg.MaterializeResult(
        metadata={"asked": len(wanted), "failed": failed, "dagster/row_count": fills, "as_of": now.isoformat()}
    )


def _simulated_past(connection: sa.Connection, platform: Platform) -> dict[str, Past]:
    """Of the demo, who would have been asked on the stored days before today; nobody anywhere else."""
    if platform.mode != "demo":
        return {}
    days = [day for day in leaderboard_store.stored_days(connection) if day < platform.today()]
    boards = {day: leaderboard_store.read_leaderboard(connection, day) for day in days}
    return past_of(boards, platform.params.filters)


def _store_past(
    connection: sa.Connection, past: Past, facts: history_store.TraderFacts, history: Sequence[Fill]
) -> Sequence[Fill]:
    """Store what earlier questions would have brought; returns the fills as they would have become known."""
    for answer in answers_of(past, facts.address, history, facts.has_sub_accounts, HISTORY_DAYS):
        history_store.store_facts(connection, answer)
    return backdated(past, history)


def _wanted(
    rows: Sequence[LeaderboardRow],
    pinned: Sequence[str],
    known: dict[str, history_store.TraderFacts],
    now: datetime,
    platform: Platform,
) -> list[str]:
    """Not asked within 24 hours: pinned accounts, then survivors of filters 1-4, best month PnL first."""
    survivors = [
        row
        for row in rows
        if row.address not in pinned
        and filters.evaluate(row, params=platform.params.filters).leaderboard_verdict is Verdict.PASS
    ]
    best = sorted(survivors, key=lambda row: (-(row.windows["month"].pnl_usd or 0), row.address))
    return [
        address
        for address in (*pinned, *(row.address for row in best))
        if not (address in known and _is_recent(known[address], now))
    ]


def _is_recent(facts: history_store.TraderFacts, now: datetime) -> bool:
    return facts.error is None and now - facts.asked_at < ASK_AGAIN_AFTER


def ask(venue: VenueReader, address: str, now: datetime) -> tuple[history_store.TraderFacts, Sequence[Fill]]:
    """One trader's fills and facts; a request that fails leaves its fact unknown, with the reason."""
    errors: list[str] = []
    fills: Sequence[Fill] = ()
    has_sub_accounts: bool | None = None
    until = _ms(now)
    try:
        fills = venue.fill_history(address, until - HISTORY_DAYS * DAY_MS, until, MAX_FILLS)
    except VenueUnavailableError as error:
        errors.append(f"fills: {error}")
    try:
        has_sub_accounts = bool(venue.sub_accounts(address).users)
    except VenueUnavailableError as error:
        errors.append(f"subAccounts: {error}")
    facts = filters.facts_of(fills, has_sub_accounts)
    times = [fill.time_ms for fill in fills]
    return (
        history_store.TraderFacts(
            address=address,
            asked_at=now,
            orders_per_day=facts.orders_per_day,
            has_sub_accounts=facts.has_sub_accounts,
            has_major_fill=facts.has_major_fill,
            fill_count=len(fills),
            first_fill_at=history_store.at(min(times)) if times else None,
            last_fill_at=history_store.at(max(times)) if times else None,
            error="; ".join(errors) or None,
        ),
        fills,
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
