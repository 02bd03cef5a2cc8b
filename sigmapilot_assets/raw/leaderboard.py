"""The leaderboard, whole, by day (spec 1.1)."""

from datetime import UTC, datetime, time, timedelta

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import leaderboard_store as store
from sigmapilot_core.adapters.postgres import trader_store
from sigmapilot_core.ports import LeaderboardDownload, LeaderboardUnavailableError

MAX_BAD_SHARE = 0.01
UNUSABLE_SHARE = 0.5
"""A leaderboard of which more than this does not parse is another format, and replaces nothing."""
HISTORY_DAYS = 60


@dg.asset(
    name="raw_hyperliquid__leaderboard",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)),
    check_specs=[dg.AssetCheckSpec("rows_parse", asset="raw_hyperliquid__leaderboard")],
)
def raw_leaderboard(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Every row of the exchange's leaderboard, stored per day; the last good copy stays in force on failure.

    In the demo the simulated venue also answers for past days, so that the first start has a stored history.
    """
    now = platform.now()
    if platform.mode == "demo":
        _load_past_days(context, platform, now)
    download = _download(platform, now)
    with platform.transaction() as connection:
        stored = store.store_leaderboard(connection, now.date(), now, download.rows)
        _record(connection, now, download)
    context.log.info("stored %d rows, %d did not parse", stored, download.bad_rows)
    top = sorted(download.rows, key=lambda row: -row.account_value_usd)[:10]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": stored,
            "bad_rows": download.bad_rows,
            "bad_example": download.bad_example or "none",
            "sha256": download.sha256,
            "as_of": now.isoformat(),
            "largest_accounts": preview_table(
                ["address", "account_value_usd"], [[row.address, row.account_value_usd] for row in top]
            ),
        },
        check_results=[_bad_rows_check(download)],
    )


def _bad_rows_check(download: LeaderboardDownload) -> dg.AssetCheckResult:
    seen = len(download.rows) + download.bad_rows
    share = download.bad_rows / seen if seen else 1.0
    return dg.AssetCheckResult(
        check_name="rows_parse",
        passed=share <= MAX_BAD_SHARE,
        metadata={"bad_share": share, "allowed": MAX_BAD_SHARE, "rows": seen},
        description=f"{download.bad_rows} of {seen} rows did not parse; at most {MAX_BAD_SHARE:.0%} may",
    )


def _download(platform: Platform, now: datetime) -> LeaderboardDownload:
    """Download, and log a failure before it is raised: the stored rows of the last good day stay as they are."""
    try:
        found = platform.leaderboard.download()
        seen = len(found.rows) + found.bad_rows
        if not found.rows or found.bad_rows > UNUSABLE_SHARE * seen:
            raise LeaderboardUnavailableError(
                f"{found.bad_rows} of {seen} rows do not parse ({found.bad_example}); at most half may"
            )
    except LeaderboardUnavailableError as error:
        with platform.transaction() as connection:
            store.record_download(
                connection,
                fetched_at=now,
                source=platform.leaderboard.name,
                status="failed",
                sha256=None,
                row_count=0,
                bad_row_count=0,
                error=str(error),
            )
        raise dg.Failure(f"leaderboard: {error}; the last good copy stays in force") from error
    return found


def _record(connection: sa.Connection, now: datetime, download: LeaderboardDownload) -> None:
    store.record_download(
        connection,
        fetched_at=now,
        source=download.source,
        status="ok",
        sha256=download.sha256,
        row_count=len(download.rows),
        bad_row_count=download.bad_rows,
    )


def _load_past_days(context: dg.AssetExecutionContext, platform: Platform, now: datetime) -> None:
    """Fill in the days of the simulated world that are not stored yet, oldest first; resumable by nature.

    One that a stored draw had already looked back at was not known then: it counts as fetched now.
    """
    with platform.transaction() as connection:
        have = set(store.stored_days(connection))
    missing = [day for back in range(HISTORY_DAYS, 0, -1) if (day := now.date() - timedelta(days=back)) not in have]
    for done, day in enumerate(missing, start=1):
        midnight = datetime.combine(day, time(0, 30), UTC)
        try:
            download = platform.leaderboard.download(as_of_ms=int(midnight.timestamp() * 1000))
        except LeaderboardUnavailableError as error:
            raise dg.Failure(
                f"leaderboard of {day}: {error}; {done - 1} of {len(missing)} past days are stored, the next goes on"
            ) from error
        with platform.transaction() as connection:
            evaluated = trader_store.evaluated_until(connection)
            fetched_at = midnight if evaluated is None or midnight > evaluated else now
            store.store_leaderboard(connection, day, fetched_at, download.rows)
        if done % 20 == 0:
            context.log.info("past leaderboards: %d of %d days", done, len(missing))
