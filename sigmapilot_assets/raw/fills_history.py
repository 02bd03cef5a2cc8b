"""Histories of the traders that pass the leaderboard's filters: fills, and the facts of filters 5-7 (spec 1.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.questions import HISTORY_DAYS, ask, is_answered, worth_asking
from sigmapilot_assets.raw.simulated_past import Past, after, answers_of, backdated, past_of
from sigmapilot_core.adapters.postgres import (
    history_store,
    leaderboard_store,
    pinned_store,
    progress_store,
    trader_store,
)
from sigmapilot_core.adapters.postgres.progress_store import HISTORIES
from sigmapilot_core.domain.events import Fill

MAX_SILENT_IN_A_ROW = 5
_TOLD_EVERY = 0.1


@dg.asset(
    name="raw_hyperliquid__fills_history",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__leaderboard"],
)
def fills_history(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Fetch what filters 5-7 and first histories need, best month PnL first, never twice within 24 hours.

    A recording cannot answer these questions: there the facts stay unknown. A run that follows a killed one continues
    where that stopped, because each trader is stored before the next is asked; how far it is stands in the database.
    """
    if platform.pool_flavour == "recording":
        return dg.MaterializeResult(metadata={"asked": 0, "reason": "a recording cannot answer; filters 5-7 unknown"})
    now = platform.now()
    with platform.transaction() as connection:
        work = _work(connection, platform, now)
        progress_store.begin(connection, HISTORIES, context.run.run_id, work.total, work.total - len(work.due), now)
    fills, failed = _fetch(context, platform, work)
    with platform.transaction() as connection:
        progress_store.end(connection, HISTORIES, platform.now())
    return dg.MaterializeResult(
        metadata={
            "asked": len(work.due),
            "answered_before": work.total - len(work.due),
            "failed": failed,
            "percent": 100.0,
            "dagster/row_count": fills,
            "as_of": now.isoformat(),
        }
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Who is to be asked; `due` without those answered within 24 hours. `past` is of the demo only."""

    total: int
    due: Sequence[str]
    known: Mapping[str, history_store.TraderFacts]
    past: Mapping[str, Past]


def _work(connection: sa.Connection, platform: Platform, now: datetime) -> _Work:
    day = leaderboard_store.newest_day(connection, now.date())
    rows = leaderboard_store.read_leaderboard(connection, day) if day else []
    known = history_store.read_facts(connection)
    past = _simulated_past(connection, platform)
    wanted = worth_asking(rows, pinned_store.pinned_addresses(connection), platform.params.filters)
    # in the demo also who passed the filters before and may be dead by now: once, nothing of him is news
    wanted += [address for address in sorted(set(past) - set(wanted)) if not _is_old(known.get(address), now)]
    return _Work(len(wanted), [address for address in wanted if not is_answered(known, address, now)], known, past)


def _is_old(facts: history_store.TraderFacts | None, now: datetime) -> bool:
    """Whether he was asked before, longer ago than a day."""
    return facts is not None and facts.error is None and not is_answered({facts.address: facts}, facts.address, now)


def _fetch(context: dg.AssetExecutionContext, platform: Platform, work: _Work) -> tuple[int, int]:
    """Ask one trader after the other and store each answer before the next question; (new fills, failed).

    Raises:
        Failure: the venue left several traders in a row without any answer.
    """
    fills, failed, silent = 0, 0, 0
    begun = work.total - len(work.due)
    with platform.open_venue() as venue:
        for done, address in enumerate(work.due, start=1):
            asked_at, before = platform.now(), work.known.get(address)
            facts, history = ask(venue, address, asked_at, before)
            with platform.transaction() as connection:
                if address in work.past and before is None and facts.error is None:
                    history = _store_past(connection, work.past[address], facts, history)
                fills += history_store.store_history(connection, facts, history, int(asked_at.timestamp() * 1000))
                failed += facts.error is not None
                progress_store.advance(connection, HISTORIES, begun + done, failed, platform.now())
            _tell(context, begun + done, work.total, fills)
            silent = silent + 1 if facts.error is not None and facts.has_sub_accounts is None and not history else 0
            if silent == MAX_SILENT_IN_A_ROW:
                raise dg.Failure(
                    f"the venue left {silent} traders in a row without an answer ({facts.error}); "
                    f"{begun + done - failed} of {work.total} are stored, the next run goes on from there"
                )
    return fills, failed


def _tell(context: dg.AssetExecutionContext, done: int, total: int, fills: int) -> None:
    """A line in the log, and the percentage on the asset, at every tenth."""
    share, before = done / total, (done - 1) / total
    if int(share / _TOLD_EVERY) == int(before / _TOLD_EVERY):
        return
    context.log.info("histories: %d of %d traders (%.0f %%), %d new fills", done, total, 100 * share, fills)
    context.log_event(
        dg.AssetObservation(
            "raw_hyperliquid__fills_history",
            metadata={"percent": round(100 * share, 1), "traders": done, "of": total, "new_fills": fills},
        )
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
    """Store what earlier questions would have brought; returns the fills as they would have become known.

    Days that were evaluated before are left as they are.
    """
    since = after(past, trader_store.evaluated_until(connection))
    if since is None:
        return history
    for answer in answers_of(since, facts.address, history, facts.has_sub_accounts, HISTORY_DAYS):
        history_store.store_facts(connection, answer)
    return backdated(since, history)
