"""Small values the trader tests share."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from sigmapilot_core.domain.events import Direction, Fill, Source
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.traders.episode import ClosedReason, Episode, r_multiple
from sigmapilot_core.domain.traders.history import History, build_history
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

T0 = 1_700_006_400_000  # 2023-11-15T00:00:00Z, midnight
ALICE = "0x" + "a" * 40


def dec(value: str | float | Decimal) -> Decimal:
    """Exact decimal of a literal."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


_FREE = dec(0)


def fill(side: str, sz: Any, px: Any, at_ms: int = 0, *, tid: int | None = None, **more: Any) -> Fill:
    """A fill of BTC by ALICE at T0 + at_ms, without fee unless told; the tid is the time unless told."""
    values: dict[str, Any] = {"user": ALICE, "coin": "BTC", "crossed": True, "fee": _FREE} | more
    start = values.pop("start", None)
    return Fill(
        is_buy=side == "buy",
        px=dec(px),
        sz=dec(sz),
        time_ms=T0 + at_ms,
        tid=at_ms if tid is None else tid,
        start_position=None if start is None else dec(start),
        **values,
    )


def script(*orders: tuple[str, Any, Any]) -> list[Fill]:
    """Fills a second apart from (side, size, price)."""
    return [fill(side, sz, px, at_ms=i * 1000, tid=i) for i, (side, sz, px) in enumerate(orders)]


def history(fills: list[Fill], stop: float | None = 0.01, **more: Any) -> History:
    """Episodes of an account that was flat before, lots of 0.001."""
    options: dict[str, Any] = {"assume_flat": True} | more
    coins = {f.coin for f in fills}
    return build_history(fills, sz_decimals=dict.fromkeys(coins, 3), stop_at=lambda _coin, _ms: stop, **options)


def mirrored(fills: list[Fill]) -> list[Fill]:
    """Buys for sells at the same prices."""
    return [
        dataclasses.replace(
            f, is_buy=not f.is_buy, start_position=None if f.start_position is None else -f.start_position
        )
        for f in fills
    ]


def episode(r: float, closed_day: float = 0.0, *, net_r: float | None = None, **more: Any) -> Episode:
    """A learnable closed episode with an unclamped gross R, risk 1 USD, closed `closed_day` days after T0."""
    closed_at = T0 + round(closed_day * DAY_MS)
    gross, gross_unclamped = r_multiple(r, 1.0, 2.0)
    net, net_unclamped = r_multiple(r if net_r is None else net_r, 1.0, 2.0)
    values: dict[str, Any] = {
        "id": f"{closed_at}:{r}",
        "user": ALICE,
        "coin": "BTC",
        "direction": Direction.LONG,
        "opened_at_ms": closed_at - HOUR_MS,
        "closed_at_ms": closed_at,
        "closed_reason": ClosedReason.FULL_CLOSE,
        "entry_vwap": dec(100),
        "exit_vwap": dec(100) + dec(r),
        "size": dec(1),
        "realised": dec(r),
        "fees": dec(0),
        "fees_estimated": False,
        "funding": None,
        "stop_fraction": 0.01,
        "risk_usd": 1.0,
        "r_gross": gross,
        "r_gross_unclamped": gross_unclamped,
        "result_r": net,
        "result_r_unclamped": net_unclamped,
        "entry_fill_count": 1,
        "exit_fill_count": 1,
        "add_count": 0,
        "is_gap": False,
        "first_seen_mid_life": False,
        "source": Source.LIVE,
        "known_since_ms": None,
    }
    return Episode(**(values | more))


def leaderboard_row(address: str = ALICE, **more: Any) -> LeaderboardRow:
    """A row that passes filters 1-4 with room."""
    values = {"pnl": 50_000.0, "roi": 0.5, "account": 200_000.0, "volume": 1e6} | more
    return LeaderboardRow(
        address=address,
        account_value_usd=values["account"],
        windows={
            "month": LeaderboardWindow(values["pnl"], values["roi"], 4e6),
            "week": LeaderboardWindow(1.0, 0.1, values["volume"]),
        },
        roi_approximate=bool(values.get("roi_approximate", False)),
    )
