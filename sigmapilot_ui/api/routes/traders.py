"""Leaderboard, pool, posteriors, scores, correlations, and the daily snapshots of traders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql, DagsterRefusedError, DagsterUnavailableError
from sigmapilot_core.adapters.postgres import queries_health, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.api.context import Address, Days, Db, Limit, Shared, Symbol
from sigmapilot_ui.api.jobs import POOL_SCHEDULE

router = APIRouter(tags=["traders"])
_SCORES_WINDOW_S = 86_400  # the pool is drawn once a day (spec 1.6)
PoolLimit = Annotated[int, Query(ge=1, le=1000, description="how many traders at most")]


def _older_names(row: Row) -> Row:
    """A pool trader with the short names of the runbook beside the full ones."""
    short = {"m": "nig_m", "kappa": "nig_kappa", "alpha": "nig_alpha", "beta": "nig_beta"}
    older = {"effective_samples": "n_eff", "total_signals": "episode_count", "winning_signals": "win_count"}
    return row | {name: row[full] for name, full in (short | older).items()} | {"is_selected": True}


def _next_draw(dagster: DagsterGraphql) -> datetime | None:
    """When the schedule draws the pool again; unknown while Dagster does not answer."""
    try:
        tick = dagster.next_tick(POOL_SCHEDULE)
    except (DagsterUnavailableError, DagsterRefusedError):
        return None
    return None if tick is None else datetime.fromtimestamp(tick, UTC)


@router.get("/alpha-pool")
def alpha_pool(
    db: Db,
    shared: Shared,
    limit: PoolLimit = 1000,
    min_signals: Annotated[int, Query(ge=0, le=100_000, description="least closed episodes")] = 0,
) -> dict[str, Any]:
    """Traders of the draw in force, best posterior mean first; null posterior: nothing is known of them yet."""
    selection = queries_traders.newest_selection(db)
    traders = queries_traders.pool(db, limit, min_signals)
    curves = queries_traders.pnl_curves(db, [row["address"] for row in traders], feed_now(db).date())
    return {
        "count": len(traders),
        "pool_size": shared.config.params.bandit.pool_size,
        "selection": selection,
        "last_refreshed": selection and selection["drawn_at"],
        "traders": [_older_names(row) | {"pnl_curve": curves.get(row["address"], [])} for row in traders],
    }


@router.get("/alpha-pool/status")
def alpha_pool_status(db: Db, shared: Shared) -> dict[str, Any]:
    """Size of the pool, last and next refresh, learning progress, summary of the posteriors."""
    selection = queries_traders.newest_selection(db)
    traders = queries_traders.pool(db)
    return {
        "pool_size": len(traders),
        "configured_pool_size": shared.config.params.bandit.pool_size,
        "last_refreshed": selection and selection["drawn_at"],
        "next_refresh": _next_draw(shared.dagster),
        "selection": selection,
        "eligible": selection and selection["eligible_count"],
        "learning": {"ready": selection and selection["learning_count"], "needed": 10},
        "nig_stats": queries_traders.nig_stats(traders),
        "filters": queries_traders.selection_funnel(db),
        "leaderboard": queries_traders.leaderboard_status(db),
    }


@router.get("/alpha-pool/addresses")
def alpha_pool_addresses(db: Db, limit: Limit = 100) -> dict[str, Any]:
    """Who is in the pool, by rank of the draw."""
    selection = queries_traders.newest_selection(db)
    traders = sorted(queries_traders.pool(db), key=lambda row: row["selection_rank"])[:limit]
    shown = ("address", "nickname", "account_value", "pnl_30d", "roi_30d", "slot", "selection_rank")
    drawn_at = selection and selection["drawn_at"]
    return {
        "count": len(traders),
        "addresses": [
            {name: row[name] for name in shown} | {"last_refreshed": drawn_at, "source": "leaderboard"}
            for row in traders
        ],
    }


def _score(row: Row, rank: int, at: datetime) -> Row:
    """A score: the posterior mean of the trader's R, the weight of its votes, and where it comes from."""
    return {
        "address": row["address"],
        "score": row["nig_m"],
        "weight": row["weight"],
        "rank": rank,
        "window_s": _SCORES_WINDOW_S,
        "ts": row["posterior_as_of"] or at,
        "meta": {
            "source": "prior" if row["nig_m"] is None else "posterior",
            "slot": row["slot"],
            "n_eff": row["n_eff"],
            "nickname": row["nickname"],
        },
    }


def _scores(db: Db, limit: int) -> list[Row]:
    now = feed_now(db)
    return [_score(row, rank, now) for rank, row in enumerate(queries_traders.pool(db, limit), start=1)]


@router.get("/scores")
def scores(db: Db, limit: PoolLimit = 1000) -> list[dict[str, Any]]:
    """Score of every trader of the pool: posterior mean of its R (null: no episode yet), best first."""
    return _scores(db, limit)


@router.get("/ranks/top")
def ranks_top(db: Db, n: Annotated[int, Query(ge=1, le=100, description="how many")] = 20) -> dict[str, Any]:
    """The best scores."""
    entries = _scores(db, n)
    return {"count": len(entries), "entries": entries}


@router.get("/leaderboard")
def leaderboard(
    db: Db,
    period: Literal["day", "week", "month", "all_time"] = "month",
    limit: Annotated[int, Query(ge=1, le=1000, description="how many rows at most")] = 100,
) -> dict[str, Any]:
    """Newest stored leaderboard, best PnL of the period first."""
    entries = queries_traders.leaderboard(db, period, limit)
    return {
        "period": period,
        "as_of_date": queries_traders.leaderboard_day(db),
        "count": len(entries),
        "entries": entries,
        "download": queries_traders.leaderboard_status(db),
    }


@router.get("/recent-fills")
def recent_fills(
    db: Db, limit: Limit = 50, symbol: Symbol = None, address: Address | None = None
) -> list[dict[str, Any]]:
    """Newest fills of followed traders, newest first."""
    wanted = None if address is None else address.lower()
    return [
        row | {"ts": datetime.fromtimestamp(row["time_ms"] / 1000, UTC), "side": "buy" if row["is_buy"] else "sell"}
        for row in queries_traders.recent_fills(db, limit, symbol, wanted)
    ]


FEED_ROWS = ("feed", "frames", "fills", "lag", "clock", "tracked", "priming", "lanes", "canary")


@router.get("/subscriptions/status")
def subscriptions_status(db: Db) -> dict[str, Any]:
    """Who is followed and how: one public trades feed per coin carries every trader, nobody needs an own connection."""
    counts = queries_traders.tracked_counts(db)
    pool_size = len(queries_traders.pool(db))
    inputs = queries_health.stream_inputs(db)
    return {
        "totalAddresses": counts["total"],
        "addressesBySource": {"alpha_pool": pool_size, "tracked": counts["total"]},
        "addressesByMethod": {"trades": counts["active"], "none": counts["total"] - counts["active"]},
        "active": counts["active"],
        "primed": counts["primed"],
        "feed": {name: inputs.get(name) for name in FEED_ROWS},
    }


@router.get("/correlation/status")
def correlation_status(db: Db) -> dict[str, Any]:
    """Pairs of the newest day, how many are measured, and the highest correlations."""
    found = queries_traders.correlation_status(db)
    selection = queries_traders.newest_selection(db)
    size = len(queries_traders.pool(db)) if selection else 0
    expected = size * (size - 1) // 2
    return found | {
        "status": "ok" if found["measured_pairs"] else "nothing measured yet",
        "loaded_pairs": found["measured_pairs"],
        "rho0": queries_traders.assumed_rho(db),
        "pool_size": size,
        "expected_pairs": expected,
        "coverage_pct": 100.0 * min(found["measured_pairs"], expected) / expected if expected else None,
    }


@router.get("/snapshots/summary")
def snapshots_summary(db: Db) -> dict[str, Any]:
    """The newest daily snapshot of all traders, counted by event; nulls before the first."""
    empty: Row = {"snapshot_date": None, "selection_version": None, "total": 0, "by_event": {}}
    return queries_traders.snapshot_summary(db) or empty


@router.get("/snapshots/history")
def snapshots_history(
    db: Db, address: Address, limit: Annotated[int, Query(ge=1, le=365, description="how many days")] = 90
) -> dict[str, Any]:
    """Daily rows of one trader, newest first; dead and censored ones keep theirs."""
    found = queries_traders.snapshot_history(db, address.lower(), limit)
    return {"address": address.lower(), "count": len(found), "snapshots": found}


@router.get("/snapshots/deaths")
def snapshots_deaths(
    db: Db,
    days: Days = 30,
    death_type: Annotated[str | None, Query(max_length=40, description="such as drawdown_80")] = None,
) -> dict[str, Any]:
    """Traders that died in the last days. Censored ones (not seen any more) are not dead."""
    events = queries_traders.deaths(db, (feed_now(db) - timedelta(days=days)).date(), death_type)
    by_type: dict[str, int] = {}
    for event in events:
        by_type[event["death_type"]] = by_type.get(event["death_type"], 0) + 1
    return {"period_days": days, "total_deaths": len(events), "by_type": by_type, "events": events}
