"""The seven filters as of the end of a past day (spec 1.2)."""

from datetime import date

import dagster as dg
import polars as pl
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.past.days import DAYS, ONE_RUN, days_of
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import history_store, leaderboard_store
from sigmapilot_core.adapters.postgres.as_of_store import end_of
from sigmapilot_core.adapters.postgres.bulk import write_rows
from sigmapilot_core.adapters.postgres.schema.model import trader_filters_asof
from sigmapilot_core.domain.params import FilterParams
from sigmapilot_core.domain.traders.filters import FilterName, TraderFacts
from sigmapilot_core.domain.traders.filters_frame import evaluate_frame, frame_of, funnel_of_frame

_COLUMNS = ("as_of_date", "address", *(name.value for name in FilterName), "eligible")


@dg.asset(
    name="core_traders__filters_asof",
    group_name="core",
    owners=["team:research"],
    kinds={"python", "polars", "postgres"},
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    deps=["raw_hyperliquid__leaderboard", "raw_hyperliquid__fills_history"],
)
def filters_asof(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Verdicts on every row of the leaderboard in force when the day ended, from facts asked by then."""
    days = days_of(context, platform)
    rows = 0
    for day in days:
        with platform.transaction() as connection:
            leaderboard_day, verdicts = _judged(connection, day, platform.params.filters)
        rows += len(verdicts)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "days": len(days),
            "newest_day": str(days[-1]),
            "leaderboard_day": str(leaderboard_day),
            "eligible": int((verdicts["eligible"] == "pass").sum()),
            "funnel": preview_table(
                ["filter", "passed", "failed", "unknown", "surviving"],
                [
                    [row.name.value, row.passed, row.failed, row.unknown, row.surviving]
                    for row in funnel_of_frame(verdicts)
                ],
            ),
        }
    )


def _judged(connection: sa.Connection, day: date, params: FilterParams) -> tuple[date, pl.DataFrame]:
    board = leaderboard_store.read_known(connection, end_of(day))
    if board is None:
        raise dg.Failure(f"no leaderboard had been stored by the end of {day}")
    facts = {
        address: TraderFacts(known.orders_per_day, known.has_sub_accounts, known.has_major_fill)
        for address, known in history_store.read_facts(connection, end_of(day)).items()
    }
    verdicts = evaluate_frame(frame_of(board[1], facts), params)
    rows = ([day, *row] for row in verdicts.select(_COLUMNS[1:]).iter_rows())
    connection.execute(trader_filters_asof.delete().where(trader_filters_asof.c.as_of_date == day))
    write_rows(connection, trader_filters_asof, _COLUMNS, rows, "update")
    return board[0], verdicts
