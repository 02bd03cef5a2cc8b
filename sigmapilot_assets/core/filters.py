"""The seven quality filters over every leaderboard row (spec 1.2)."""

import json
import math
from collections.abc import Sequence

import dagster as dg
import polars as pl

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import history_store, leaderboard_store, pinned_store
from sigmapilot_core.adapters.postgres.bulk import write_rows
from sigmapilot_core.adapters.postgres.schema.model import trader_filters
from sigmapilot_core.domain.traders.filters import FilterName, TraderFacts
from sigmapilot_core.domain.traders.filters_frame import evaluate_frame, frame_of, funnel_of_frame
from sigmapilot_core.domain.venue import LeaderboardRow

_VERDICTS = [name.value for name in FilterName]
_COLUMNS = ("as_of_date", "address", *_VERDICTS, "eligible", "values")


@dg.asset(
    name="core_traders__filters",
    group_name="core",
    owners=["team:research"],
    kinds={"python", "polars", "postgres"},
    deps=["raw_hyperliquid__leaderboard", "raw_hyperliquid__fills_history"],
    check_specs=[dg.AssetCheckSpec("every_row_has_seven_verdicts", asset="core_traders__filters", blocking=True)],
)
def trader_filters_asset(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """All seven verdicts of every row of the newest leaderboard and of every pinned account, with the funnel."""
    with platform.transaction() as connection:
        day = leaderboard_store.newest_day(connection, platform.today())
        if day is None:
            raise dg.Failure("no leaderboard is stored yet; materialise raw_hyperliquid__leaderboard first")
        rows = leaderboard_store.read_leaderboard(connection, day)
        facts = {
            address: TraderFacts(known.orders_per_day, known.has_sub_accounts, known.has_major_fill)
            for address, known in history_store.read_facts(connection).items()
        }
        rows = [*rows, *_pinned_rows(rows, pinned_store.pinned_addresses(connection))]
        frame = frame_of(rows, facts).with_columns(pl.col("account_value_usd").fill_nan(None))
        verdicts = evaluate_frame(frame, platform.params.filters)
        connection.execute(trader_filters.delete().where(trader_filters.c.as_of_date == day))
        written = write_rows(connection, trader_filters, _COLUMNS, _rows(day, frame, verdicts), "update")
    funnel = funnel_of_frame(verdicts)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written,
            "as_of": str(day),
            "eligible": int((verdicts["eligible"] == "pass").sum()),
            "funnel": preview_table(
                ["filter", "passed", "failed", "unknown", "surviving"],
                [[row.name.value, row.passed, row.failed, row.unknown, row.surviving] for row in funnel],
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="every_row_has_seven_verdicts",
                passed=written == len(rows) and not any(verdicts[name].null_count() for name in _VERDICTS),
                metadata={"rows": len(rows), "judged": written},
            )
        ],
    )


def _pinned_rows(rows: Sequence[LeaderboardRow], pinned: Sequence[str]) -> list[LeaderboardRow]:
    """Pinned accounts that the leaderboard does not name: filters 1-4 are unknown, 5-7 are what was asked."""
    listed = {row.address for row in rows}
    return [LeaderboardRow(address, math.nan, {}) for address in pinned if address not in listed]


def _rows(day: object, frame: pl.DataFrame, verdicts: pl.DataFrame) -> list[list[object]]:
    values = frame.drop("address").to_dicts()
    return [
        [day, row["address"], *(row[name] for name in _VERDICTS), row["eligible"], json.dumps(known)]
        for row, known in zip(verdicts.to_dicts(), values, strict=True)
    ]
