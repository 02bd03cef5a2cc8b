"""From domain values to the venue's wire format: fills, accounts and the leaderboard. The inverse of `wire_account.py`.

A figure that is unknown (None) is left out, never written as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import orjson

from sigmapilot_core.adapters.hyperliquid.fields import decimal_text, optional_text, real_text, without_none
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.venue import (
    AccountState,
    CashFlow,
    FundingPayment,
    LeaderboardRow,
    PortfolioHistory,
    Position,
    SubAccount,
    TwapSlice,
)

ZERO_HASH = "0x" + "0" * 64
"""Hash of slices of time-weighted orders and of the system's own fills (spec section 3.4)."""

Wire = dict[str, Any]


def fill(value: Fill) -> Wire:
    """A fill as `userFills` lists it; a liquidation names the account itself as the liquidated one."""
    liquidation = {"liquidatedUser": value.user, "markPx": decimal_text(value.px), "method": "market"}
    known = without_none(
        (
            ("startPosition", optional_text(value.start_position)),
            ("dir", value.dir),
            ("closedPnl", optional_text(value.closed_pnl)),
            ("oid", value.oid),
            ("fee", optional_text(value.fee)),
            ("liquidation", liquidation if value.is_liquidation else None),
        )
    )
    return {
        "coin": value.coin,
        "px": decimal_text(value.px),
        "sz": decimal_text(value.sz),
        "side": "B" if value.is_buy else "A",
        "time": value.time_ms,
        "hash": value.hash,
        "crossed": value.crossed,
        "tid": value.tid,
        "feeToken": "USDC",
        "twapId": value.twap_id,
    } | known


def twap_slice(value: TwapSlice) -> Wire:
    """One element of `userTwapSliceFills`."""
    return {"fill": fill(value.fill), "twapId": value.twap_id}


def _signed_notional(value: Position) -> Decimal:
    """size*mark = size*entry + unrealised PnL."""
    return value.size * value.entry_px + value.unrealised_pnl


def position(value: Position) -> Wire:
    """One element of `assetPositions`; all positions are written as cross margin."""
    on_margin = value.unrealised_pnl / value.margin_used if value.margin_used else Decimal(0)
    funding = decimal_text(value.funding_since_open)
    return {
        "type": "oneWay",
        "position": {
            "coin": value.coin,
            "szi": decimal_text(value.size),
            "leverage": {"type": "cross", "value": value.leverage},
            "entryPx": decimal_text(value.entry_px),
            "positionValue": decimal_text(abs(_signed_notional(value))),
            "unrealizedPnl": decimal_text(value.unrealised_pnl),
            "returnOnEquity": decimal_text(round(on_margin, 10)),
            "liquidationPx": optional_text(value.liquidation_px),
            "marginUsed": decimal_text(value.margin_used),
            "maxLeverage": value.max_leverage,
            "cumFunding": {"allTime": funding, "sinceOpen": funding, "sinceChange": funding},
        },
    }


def account(value: AccountState) -> Wire:
    """`clearinghouseState`; totalRawUsd = account value - sum(size*mark) (spec section 1.4)."""
    signed = [_signed_notional(p) for p in value.positions]
    summary = {
        "accountValue": decimal_text(value.account_value),
        "totalNtlPos": decimal_text(sum((abs(n) for n in signed), Decimal(0))),
        "totalRawUsd": decimal_text(value.account_value - sum(signed, Decimal(0))),
        "totalMarginUsed": decimal_text(sum((p.margin_used for p in value.positions), Decimal(0))),
    }
    return {
        "marginSummary": summary,
        "crossMarginSummary": dict(summary),
        "crossMaintenanceMarginUsed": decimal_text(value.maintenance_margin),
        "withdrawable": decimal_text(value.withdrawable),
        "assetPositions": [position(p) for p in value.positions],
        "time": value.time_ms,
    }


def sub_account(value: SubAccount, state: AccountState) -> Wire:
    """One element of `subAccounts`: its state stands beside its name."""
    return {
        "name": value.name,
        "subAccountUser": value.user,
        "master": value.master,
        "clearinghouseState": account(state),
        "spotState": {"balances": []},
    }


def user_role(role: str, master: str | None = None) -> Wire:
    """`userRole`: missing, user, vault, agent or subAccount; the last two name their master."""
    if role == "subAccount":
        return {"role": role, "data": {"master": master}}
    return {"role": role, "data": {"user": master}} if role == "agent" else {"role": role}


def user_fees(taker: float, maker: float) -> Wire:
    """`userFees` for perpetuals; both rates are fractions."""
    taker_text, maker_text = real_text(taker), real_text(maker)
    return {
        "dailyUserVlm": [],
        "feeSchedule": {"cross": taker_text, "add": maker_text, "tiers": {"vip": [], "mm": []}},
        "userCrossRate": taker_text,
        "userAddRate": maker_text,
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
        "trial": None,
    }


def portfolio(values: Iterable[PortfolioHistory]) -> list[Any]:
    """`portfolio`: pairs of period and its histories."""
    return [
        [
            value.period,
            {
                "accountValueHistory": [[ms, real_text(v)] for ms, v in value.account_value],
                "pnlHistory": [[ms, real_text(v)] for ms, v in value.pnl],
                "vlm": real_text(value.volume_usd),
            },
        ]
        for value in values
    ]


def funding_payment(value: FundingPayment) -> Wire:
    """One element of `userFunding`; negative `usdc` was paid."""
    delta = {
        "type": "funding",
        "coin": value.coin,
        "usdc": decimal_text(value.usdc),
        "szi": decimal_text(value.size),
        "fundingRate": real_text(value.rate),
        "nSamples": None,
    }
    return {"time": value.time_ms, "hash": ZERO_HASH, "delta": delta}


def cash_flow(value: CashFlow) -> Wire:
    """One element of `userNonFundingLedgerUpdates`: a deposit or a withdrawal without fee, by the sign."""
    amount = decimal_text(abs(value.usdc))
    if value.usdc >= 0:
        delta: Wire = {"type": "deposit", "usdc": amount}
    else:
        delta = {"type": "withdraw", "usdc": amount, "nonce": value.time_ms, "fee": "0.0"}
    return {"time": value.time_ms, "hash": ZERO_HASH, "delta": delta}


def leaderboard_row(value: LeaderboardRow) -> Wire:
    """One row of the leaderboard file (spec section 2); a figure that is unknown is left out."""
    windows = [
        [
            name,
            without_none(
                (
                    ("pnl", optional_text(window.pnl_usd)),
                    ("roi", optional_text(window.roi)),
                    ("vlm", optional_text(window.volume_usd)),
                )
            ),
        ]
        for name, window in value.windows.items()
    ]
    return {
        "ethAddress": value.address,
        "accountValue": real_text(value.account_value_usd),
        "windowPerformances": windows,
        "prize": value.prize,
        "displayName": value.display_name,
    }


def leaderboard_chunks(rows: Iterable[LeaderboardRow]) -> Iterator[bytes]:
    """The whole leaderboard file piece by piece, so that 40 MB never stand in memory."""
    separator = b'{"leaderboardRows":['
    for row in rows:
        yield separator + orjson.dumps(leaderboard_row(row))
        separator = b","
    yield b"]}" if separator == b"," else separator + b"]}"
