"""The seven filters over columns: the verdicts of `filters.evaluate` for a whole leaderboard at once (spec 1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import FilterParams
from sigmapilot_core.domain.traders.filters import (
    ABSURD_ROI,
    ABSURD_USD,
    LEADERBOARD_FILTERS,
    FilterName,
    FunnelRow,
    TraderFacts,
)
from sigmapilot_core.domain.venue import LeaderboardRow

FRAME_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "address": pl.String,
    "account_value_usd": pl.Float64,
    "month_pnl_usd": pl.Float64,
    "month_roi": pl.Float64,
    "week_volume_usd": pl.Float64,
    "orders_per_day": pl.Float64,
    "has_sub_accounts": pl.Boolean,
    "has_major_fill": pl.Boolean,
}

_DEFAULTS = FilterParams()


def frame_of(rows: Iterable[LeaderboardRow], facts: Mapping[str, TraderFacts] | None = None) -> pl.DataFrame:
    """Columns of `FRAME_SCHEMA`, one row a leaderboard row; null is unknown."""
    facts = facts or {}
    records = []
    for row in rows:
        month, week = row.windows.get("month"), row.windows.get("week")
        known = facts.get(row.address, TraderFacts())
        records.append(
            (
                row.address,
                row.account_value_usd,
                month.pnl_usd if month else None,
                month.roi if month else None,
                week.volume_usd if week else None,
                known.orders_per_day,
                known.has_sub_accounts,
                known.has_major_fill,
            )
        )
    return pl.DataFrame(records, schema=FRAME_SCHEMA, orient="row")


def evaluate_frame(frame: pl.DataFrame, params: FilterParams = _DEFAULTS) -> pl.DataFrame:
    """`address`, one verdict column per filter, `leaderboard` (filters 1-4) and `eligible` (all seven)."""
    conditions = {
        FilterName.MONTH_PNL: (_sane("month_pnl_usd", ABSURD_USD), pl.col("month_pnl_usd") >= params.min_pnl_usd),
        FilterName.MONTH_ROI: (_sane("month_roi", ABSURD_ROI), pl.col("month_roi") >= params.min_roi),
        FilterName.ACCOUNT_VALUE: (
            _sane("account_value_usd", ABSURD_USD),
            pl.col("account_value_usd") >= params.min_account_value_usd,
        ),
        FilterName.WEEK_VOLUME: (
            _sane("week_volume_usd", ABSURD_USD) & (pl.col("week_volume_usd") >= 0),
            pl.col("week_volume_usd") >= params.min_week_volume_usd,
        ),
        FilterName.NOT_HFT: (
            _sane("orders_per_day", ABSURD_USD) & (pl.col("orders_per_day") >= 0),
            pl.col("orders_per_day") <= params.max_orders_per_day,
        ),
        FilterName.NO_SUB_ACCOUNTS: (pl.col("has_sub_accounts").is_not_null(), ~pl.col("has_sub_accounts")),
        FilterName.BTC_ETH_HISTORY: (pl.col("has_major_fill").is_not_null(), pl.col("has_major_fill")),
    }
    verdicts = frame.select(
        "address", *(_verdict(known, passed).alias(name.value) for name, (known, passed) in conditions.items())
    )
    return verdicts.with_columns(
        _combined([name.value for name in LEADERBOARD_FILTERS]).alias("leaderboard"),
        _combined([name.value for name in FilterName]).alias("eligible"),
    )


def funnel_of_frame(verdicts: pl.DataFrame) -> tuple[FunnelRow, ...]:
    """The counts of `filters.funnel` from the verdict columns of `evaluate_frame`."""
    rows: list[FunnelRow] = []
    alive = pl.lit(True)
    for name in FilterName:
        column = pl.col(name.value)
        alive = alive & (column == Verdict.PASS.value)
        counts = verdicts.select(
            *(((column == verdict.value).sum()).alias(verdict.value) for verdict in Verdict),
            alive.sum().alias("surviving"),
        ).row(0, named=True)
        rows.append(FunnelRow(name, counts["pass"], counts["fail"], counts["unknown"], counts["surviving"]))
    return tuple(rows)


def _sane(column: str, absurd: float) -> pl.Expr:
    value = pl.col(column)
    return value.is_not_null() & value.is_finite() & (value.abs() <= absurd)


def _verdict(known: pl.Expr, passed: pl.Expr) -> pl.Expr:
    return (
        pl.when(~known.fill_null(False))
        .then(pl.lit(Verdict.UNKNOWN.value))
        .when(passed)
        .then(pl.lit(Verdict.PASS.value))
        .otherwise(pl.lit(Verdict.FAIL.value))
    )


def _combined(columns: list[str]) -> pl.Expr:
    return (
        pl.when(pl.any_horizontal(pl.col(column) == Verdict.FAIL.value for column in columns))
        .then(pl.lit(Verdict.FAIL.value))
        .when(pl.all_horizontal(pl.col(column) == Verdict.PASS.value for column in columns))
        .then(pl.lit(Verdict.PASS.value))
        .otherwise(pl.lit(Verdict.UNKNOWN.value))
    )
