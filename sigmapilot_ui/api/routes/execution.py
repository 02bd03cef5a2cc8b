"""Own orders, positions and account; the switch that says whether any order leaves this machine."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from sigmapilot_core.adapters.postgres import queries_execution as queries
from sigmapilot_core.adapters.postgres import queries_traders
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_ui.api.context import Db, Limit, Offset, Shared

router = APIRouter(tags=["execution"])


@router.get("/execution/config")
def execution_config(db: Db, shared: Shared) -> dict[str, Any]:
    """Whether execution is switched on, the venue's limits, and the limits of risk in force."""
    found = queries.config(db)
    risk = shared.config.params.risk
    return {
        "configured": found is not None,
        "enabled": found is not None and found["enabled"],
        "hyperliquid": found and found["hyperliquid"],
        "risk": {
            "max_daily_loss_pct": 100 * risk.max_daily_loss,
            "max_position_pct": 100 * risk.max_position_pct,
            "max_exposure_pct": 100 * risk.max_exposure_pct,
            "max_leverage": risk.max_leverage,
            "cooldown_s": risk.cooldown_s,
            "max_positions": risk.max_positions,
        },
        "updated_at": found and found["updated_at"],
    }


@router.get("/execution/logs")
def execution_logs(db: Db, limit: Limit = 50, offset: Offset = 0) -> dict[str, Any]:
    """Newest attempts to execute, one row a leg."""
    found = queries.logs(db, limit, offset)
    return {"items": found, "count": len(found), "total": queries.count_logs(db), "limit": limit, "offset": offset}


def _pct(part: float | None, whole: float | None) -> float | None:
    return 100.0 * part / whole if part is not None and whole else None


def _sum(rows: list[Row], name: str) -> float | None:
    """Sum of known values; unknown when there is none or any is unknown."""
    values = [row[name] for row in rows]
    return sum(values) if values and None not in values else None


@router.get("/portfolio")
def portfolio(db: Db, shared: Shared) -> dict[str, Any]:
    """Accounts by venue, own open positions, equity; equity is null before the first account value is known."""
    accounts, positions = queries.accounts(db), queries.positions(db)
    config = queries.config(db)
    return {
        "configured": bool(accounts),
        "mode": shared.config.mode,
        "paper": not (config is not None and config["enabled"]),
        "exchanges": [
            row | {"total_exposure_pct": _pct(row["exposure_usd"], row["account_value"])} for row in accounts
        ],
        "total_equity": _sum(accounts, "account_value"),
        "total_unrealized_pnl": _sum(positions, "unrealized_pnl") if positions else 0.0,
        "total_positions": len(positions),
        "positions": positions,
        "today": queries.today(db),
        "risk_governor": queries.governor(db),
    }


@router.get("/portfolio/positions")
def portfolio_positions(db: Db) -> dict[str, Any]:
    """Own open positions."""
    found = queries.positions(db)
    return {"count": len(found), "positions": found}


@router.get("/portfolio/funding")
def portfolio_funding(db: Db, limit: Limit = 100) -> dict[str, Any]:
    """Newest hours of funding of own positions: the venue's rate, and USD received (positive) or paid."""
    found = queries.funding(db, limit)
    return {"count": len(found), "payments": found}


def _episode(row: Row) -> Row:
    """An episode with the older names of its prices beside the new ones."""
    return row | {"entry_price": row["entry_vwap"], "exit_price": row["exit_vwap"], "entry_size": row["size"]}


@router.get("/positions/open")
def positions_open(db: Db, limit: Annotated[int, Query(ge=1, le=100, description="how many")] = 100) -> dict[str, Any]:
    """Open positions of followed traders, newest first."""
    found = [_episode(row) for row in queries_traders.trader_episodes(db, "open", limit)]
    return {"count": len(found), "positions": found}


@router.get("/positions/recent")
def positions_recent(db: Db, limit: Annotated[int, Query(ge=1, le=50, description="how many")] = 50) -> dict[str, Any]:
    """Recently closed positions of followed traders with their R, newest first."""
    found = [_episode(row) for row in queries_traders.trader_episodes(db, "closed", limit)]
    return {"count": len(found), "positions": found}
