"""Who is in the pool and why: leaderboard, filters, posteriors, selection, correlation, life and death (spec 1)."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from sigmapilot_core.adapters.postgres.instants import ms_of
from sigmapilot_core.adapters.postgres.queries import Row, first, number, one, rows, scalar
from sigmapilot_core.adapters.postgres.schema.model import (
    addresses,
    alpha_pool_addresses,
    leaderboard_downloads,
    leaderboard_snapshots,
    model_parts,
    model_snapshots,
    pool_selections,
    position_signals,
    trader_corr,
    trader_filters,
    trader_performance,
    trader_snapshots,
)
from sigmapilot_core.adapters.postgres.schema.stream import fills, tracked_traders
from sigmapilot_core.domain.traders.day import AS_OF_VERSION
from sigmapilot_core.domain.traders.posterior import Posterior, weight

FILTERS = (
    "month_pnl",
    "month_roi",
    "account_value",
    "week_volume",
    "not_hft",
    "no_sub_accounts",
    "btc_eth_history",
)  # in the order of evaluation (spec 1.2)
PERIODS = ("day", "week", "month", "all_time")
_P = trader_performance.c


def newest_selection(connection: sa.Connection) -> Row | None:
    """The draw in force: its day, version, time, key and how many traders were eligible. Past days are never it."""
    c = pool_selections.c
    named = [column for column in c if column.name != "settings"]
    live = sa.select(*named).where(c.selection_version > AS_OF_VERSION)
    return first(connection, live.order_by(c.selection_version.desc()).limit(1))


def _with_spread(row: Row) -> Row:
    """The row with `sigma` (deviation of one R), `posterior_std` (of the mean) and the weight of its votes."""
    if row["nig_m"] is None:
        return row | {"sigma": None, "posterior_std": None, "weight": None}
    posterior = Posterior(row["nig_m"], row["nig_kappa"], row["nig_alpha"], row["nig_beta"])
    variance, var_mu = posterior.expected_variance, posterior.var_mu
    return row | {
        "sigma": None if variance is None else math.sqrt(variance),
        "posterior_std": None if var_mu is None else math.sqrt(var_mu),
        "weight": weight(row["nig_kappa"]),
    }


def pool(connection: sa.Connection, limit: int = 1000, min_episodes: int = 0) -> list[Row]:
    """Traders of the draw in force, best posterior mean first; a trader without a posterior has nulls, last."""
    selection = newest_selection(connection)
    if selection is None:
        return []
    a = alpha_pool_addresses.c
    named = ("slot", "slot_reason", "selection_rank", "thompson_draw", "account_value", "pnl_30d", "roi_30d")
    statement = (
        sa.select(
            a.address,
            addresses.c.nickname,
            *(a[name] for name in named),
            *(_P[name] for name in ("nig_m", "nig_kappa", "nig_alpha", "nig_beta", "n_eff", "avg_r", "r_variance")),
            *(_P[name] for name in ("episode_count", "win_count", "total_pnl_r", "share_below_clamp")),
            _P.last_closed_at,
            _P.as_of.label("posterior_as_of"),
        )
        .select_from(alpha_pool_addresses)
        .outerjoin(trader_performance, _P.address == a.address)
        .outerjoin(addresses, addresses.c.address == a.address)
        .where(
            a.as_of_date == selection["as_of_date"],
            a.selection_version == selection["selection_version"],
            sa.func.coalesce(_P.episode_count, 0) >= min_episodes,
        )
        .order_by(_P.nig_m.desc().nulls_last(), a.address)
        .limit(limit)
    )
    return [_with_spread(row) for row in rows(connection, statement)]


def pnl_curves(connection: sa.Connection, wanted: list[str], until: date, days: int = 30) -> dict[str, list[Row]]:
    """All-time PnL of traders on each stored leaderboard day of the last `days`, oldest first."""
    c = leaderboard_snapshots.c
    # days and addresses are both listed, so that the index is asked for each pair instead of read through
    on_days = [until - timedelta(days=back) for back in range(days)]
    statement = (
        sa.select(c.address, c.as_of_date, c.all_time_pnl)
        .where(c.as_of_date.in_(on_days), c.address.in_(wanted), c.all_time_pnl.is_not(None))
        .order_by(c.as_of_date)
    )
    curves: dict[str, list[Row]] = {}
    for row in rows(connection, statement):
        curves.setdefault(row["address"], []).append({"ts": row["as_of_date"], "value": row["all_time_pnl"]})
    return curves


def _spread(values: list[float]) -> Row:
    """Smallest, median, average and largest of known values; null of none."""
    if not values:
        return {"min": None, "median": None, "avg": None, "max": None}
    ordered, half = sorted(values), len(values) // 2
    median = ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return {"min": ordered[0], "median": median, "avg": sum(values) / len(values), "max": ordered[-1]}


def nig_stats(traders: list[Row]) -> Row:
    """Summary of the posteriors of pool rows: mean m, kappa, sigma (of one R) and effective episodes."""
    known = [row for row in traders if row["nig_m"] is not None]

    def spread(name: str) -> Row:
        return _spread([row[name] for row in known if row[name] is not None])

    return {
        "traders_with_posterior": len(known),
        "mean": spread("nig_m"),
        "kappa": spread("nig_kappa"),
        "sigma": spread("sigma"),
        "n_eff": spread("n_eff"),
        "avg_r": spread("avg_r"),
    }


def leaderboard_status(connection: sa.Connection) -> Row | None:
    """The newest download and how it went."""
    c = leaderboard_downloads.c
    return first(connection, sa.select(leaderboard_downloads).order_by(c.fetched_at.desc()).limit(1))


def leaderboard_day(connection: sa.Connection) -> date | None:
    """The newest stored day of the leaderboard."""
    return scalar(connection, sa.select(sa.func.max(leaderboard_snapshots.c.as_of_date)))


def leaderboard(connection: sa.Connection, period: str = "month", limit: int = 100) -> list[Row]:
    """Rows of the newest stored day, best PnL of the period first.

    Raises:
        ValueError: a period that is not one of `PERIODS`.
    """
    if period not in PERIODS:
        raise ValueError(f"period {period!r} is not allowed, use one of {', '.join(PERIODS)}")
    c = leaderboard_snapshots.c
    pnl, roi, volume = c[f"{period}_pnl"], c[f"{period}_roi"], c[f"{period}_vlm"]
    newest = sa.select(sa.func.max(c.as_of_date)).scalar_subquery()
    ranked = sa.func.row_number().over(order_by=(pnl.desc().nulls_last(), c.address)).label("rank")
    shown = (c.address, c.display_name, c.account_value, pnl.label("pnl"), roi.label("roi"), volume.label("volume"))
    return rows(
        connection,
        sa.select(ranked, *shown, c.roi_approximate).where(c.as_of_date == newest).order_by("rank").limit(limit),
    )


def selection_funnel(connection: sa.Connection) -> list[Row]:
    """Seven filters of the newest day, in order: pass, fail, unknown each by itself, and who passed all so far."""
    c = trader_filters.c
    newest = sa.select(sa.func.max(c.as_of_date)).scalar_subquery()
    counted: list[sa.ColumnElement[Any]] = [sa.func.count().label("all")]
    so_far: list[sa.ColumnElement[bool]] = []
    for name in FILTERS:
        so_far.append(c[name] == "pass")
        counted += [sa.func.count().filter(c[name] == v).label(f"{name}.{v}") for v in ("pass", "fail", "unknown")]
        counted.append(sa.func.count().filter(sa.and_(*so_far)).label(f"{name}.survivors"))
    found = one(connection, sa.select(*counted).where(c.as_of_date == newest))
    if not found["all"]:
        return []
    columns = {"passed": "pass", "failed": "fail", "unknown": "unknown", "survivors": "survivors"}
    return [
        {"filter": name, "rows": found["all"]} | {key: found[f"{name}.{suffix}"] for key, suffix in columns.items()}
        for name in FILTERS
    ]


def filters_day(connection: sa.Connection) -> date | None:
    """The newest day the filters ran for."""
    return scalar(connection, sa.select(sa.func.max(trader_filters.c.as_of_date)))


def correlation_status(connection: sa.Connection, highest: int = 10) -> Row:
    """Pairs of the newest day: how many, how many measured, their average, the highest ones."""
    c = trader_corr.c
    newest = sa.select(sa.func.max(c.as_of_date)).scalar_subquery()
    summary = one(
        connection,
        sa.select(
            sa.func.max(c.as_of_date).label("latest_date"),
            sa.func.max(c.computed_at).label("computed_at"),
            sa.func.count().label("db_pair_count"),
            sa.func.count(c.rho).label("measured_pairs"),
            sa.func.avg(c.rho).label("avg_rho"),
        ).where(c.as_of_date == newest),
    )
    sample = (
        sa.select(c.addr_a, c.addr_b, c.rho, c.n_buckets, c.n_common, c.phi_common)
        .where(c.as_of_date == newest, c.rho.is_not(None))
        .order_by(c.rho.desc(), c.addr_a, c.addr_b)
        .limit(highest)
    )
    return summary | {"sample_highest_correlations": rows(connection, sample)}


def assumed_rho(connection: sa.Connection) -> float | None:
    """rho0 of the newest snapshot: the correlation that unmeasured pairs are given (spec 1.7)."""
    parts, snapshots = model_parts.c, model_snapshots.c
    newest = sa.select(snapshots.slow_version).order_by(snapshots.version.desc()).limit(1).scalar_subquery()
    content = sa.cast(parts.content, pg.JSONB)["rho0"].astext
    return number(scalar(connection, sa.select(content).where(parts.part == "slow", parts.version == newest)))


def correlation_bins(connection: sa.Connection, width: float = 0.05) -> list[Row]:
    """Distribution of measured correlations of the newest day: lower bound of each bin and its count."""
    c = trader_corr.c
    newest = sa.select(sa.func.max(c.as_of_date)).scalar_subquery()
    bound = (sa.func.floor(c.rho / width) * width).label("rho")
    statement = sa.select(bound, sa.func.count().label("pairs")).where(c.as_of_date == newest, c.rho.is_not(None))
    return rows(connection, statement.group_by(bound).order_by(bound))


def snapshot_summary(connection: sa.Connection) -> Row | None:
    """Traders at the newest live draw: how many, by event, eligible, selected, with skill shown; the dead included."""
    c = trader_snapshots.c
    version = scalar(connection, sa.select(sa.func.max(c.selection_version)))
    if not version:
        return None
    day = scalar(connection, sa.select(sa.func.max(c.snapshot_date)).where(c.selection_version == version))
    wanted = (c.snapshot_date == day, c.selection_version == version)
    counts = one(
        connection,
        sa.select(
            sa.func.count().label("total"),
            sa.func.count().filter(c.is_eligible).label("eligible"),
            sa.func.count().filter(c.is_selected).label("selected"),
            sa.func.count(c.skill_p_value).label("testable"),
            sa.func.count().filter(c.fdr_qualified).label("fdr_qualified"),
        ).where(*wanted),
    )
    events = sa.select(c.event_type, sa.func.count().label("count")).where(*wanted).group_by(c.event_type)
    by_event = {row["event_type"]: row["count"] for row in rows(connection, events.order_by(c.event_type))}
    return {"snapshot_date": day, "selection_version": version, **counts, "by_event": by_event}


def snapshot_history(connection: sa.Connection, address: str, limit: int = 90) -> list[Row]:
    """Daily rows of one trader, newest first."""
    c = trader_snapshots.c
    statement = (
        sa.select(trader_snapshots)
        .where(c.address == address)
        .order_by(c.snapshot_date.desc(), c.selection_version.desc())
        .limit(limit)
    )
    return rows(connection, statement)


def deaths(connection: sa.Connection, since: date, death_type: str | None = None) -> list[Row]:
    """Traders that died since a day, each once with the day of the death, newest first; censored ones are not dead."""
    c = trader_snapshots.c
    shown = (c.snapshot_date, c.address, c.death_type, c.account_value, c.peak_account_value, c.episode_count)
    first_rows = (
        sa.select(*shown)
        .where(c.event_type == "death")
        .distinct(c.address)
        .order_by(c.address, c.snapshot_date, c.selection_version)
        .subquery()
    )
    died = first_rows.c
    wanted = [died.snapshot_date >= since]
    if death_type is not None:
        wanted.append(died.death_type == death_type)
    return rows(connection, sa.select(first_rows).where(*wanted).order_by(died.snapshot_date.desc(), died.address))


def recent_fills(
    connection: sa.Connection, limit: int = 50, symbol: str | None = None, address: str | None = None
) -> list[Row]:
    """Newest fills of followed traders."""
    c = fills.c
    wanted = [c.coin == symbol] if symbol is not None else []
    if address is not None:
        wanted.append(c.address == address)
    shown = (c.time_ms, c.address, c.coin, c.tid, c.is_buy, c.px, c.sz, c.action, c.start_position, c.position_after)
    statement = (
        sa.select(*shown, c.realized_pnl, c.fee, c.crossed, c.episode_id, c.source, addresses.c.nickname)
        .outerjoin(addresses, addresses.c.address == c.address)
        .where(*wanted)
        .order_by(c.time_ms.desc(), c.seq.desc(), c.tid)
        .limit(limit)
    )
    return rows(connection, statement)


def count_fills(connection: sa.Connection, since: datetime) -> int:
    """Fills of followed traders since an instant of exchange time."""
    return scalar(connection, sa.select(sa.func.count()).select_from(fills).where(fills.c.time_ms >= ms_of(since)))


def tracked_counts(connection: sa.Connection) -> Row:
    """Followed traders: all, active, and those whose positions are primed."""
    c = tracked_traders.c
    return one(
        connection,
        sa.select(
            sa.func.count().label("total"),
            sa.func.count().filter(c.is_active).label("active"),
            sa.func.count().filter(c.is_active, c.primed_at_ms.is_not(None)).label("primed"),
        ),
    )


def trader_episodes(connection: sa.Connection, status: str, limit: int = 50) -> list[Row]:
    """Episodes of followed traders seen live, newest first: `open` by entry, `closed` by exit."""
    c = position_signals.c
    newest = c.entry_ts.desc() if status == "open" else c.exit_ts.desc()
    named = ("id", "address", "asset", "direction", "status", "entry_ts", "exit_ts", "entry_vwap", "exit_vwap", "size")
    money = (
        "entry_notional_usd",
        "realized_pnl",
        "fees_usd",
        "result_r",
        "r_gross",
        "closed_reason",
        "learnable",
        "gap",
    )
    statement = sa.select(*(c[name] for name in named + money)).where(c.status == status)
    return rows(connection, statement.order_by(newest, c.id).limit(limit))
