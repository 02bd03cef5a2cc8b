"""Reading money that moves without a trade: deposits, withdrawals, transfers, funding (spec section 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.hyperliquid.coins import is_followed
from sigmapilot_core.adapters.hyperliquid.fields import decimal, integer, mapping, not_negative, real, sequence, text
from sigmapilot_core.adapters.hyperliquid.messages import CashFlowPage, PaymentPage
from sigmapilot_core.domain.venue import CashFlow, FundingPayment

_IN = frozenset({"deposit", "vaultWithdraw"})
_OUT = frozenset({"withdraw", "vaultDeposit", "vaultCreate"})
_BETWEEN = frozenset({"internalTransfer", "subAccountTransfer"})


def _moved(delta: Mapping[str, Any], kind: str, user: str) -> Decimal | None:
    """USDC that came in (positive) or went out; None for kinds that move none, and for kinds yet unknown."""
    if kind == "vaultWithdraw":
        return not_negative(delta, "netWithdrawnUsd")
    if kind in _IN:
        return not_negative(delta, "usdc")
    fee = not_negative(delta, "fee") if delta.get("fee") is not None else Decimal(0)
    if kind in _OUT:
        return -(not_negative(delta, "usdc") + fee)
    if kind in _BETWEEN:
        arrives = text(delta, "destination").lower() == user
        return not_negative(delta, "usdc") if arrives else -(not_negative(delta, "usdc") + fee)
    return None


def parse_cash_flows(raw: object, user: str) -> CashFlowPage:
    """Deposits and withdrawals of `user`; the list of kinds is open, those without USDC are ignored and counted."""
    rows = [mapping(x, "update") for x in sequence(raw, "nonFundingLedgerUpdates")]
    flows = []
    for row in rows:
        delta = mapping(row.get("delta"), "delta")
        kind = text(delta, "type")
        moved = _moved(delta, kind, user)
        if moved is not None:
            flows.append(CashFlow(user, integer(row, "time"), moved, kind))
    return CashFlowPage(tuple(flows), len(rows), _last(rows), len(rows) - len(flows))


def parse_funding_payments(raw: object, user: str) -> PaymentPage:
    """`userFunding`: negative `usdc` was paid by the account."""
    rows = [mapping(x, "funding") for x in sequence(raw, "userFunding")]
    payments = []
    for row in rows:
        delta = mapping(row.get("delta"), "delta")
        if is_followed(delta.get("coin")):
            payments.append(
                FundingPayment(
                    user=user,
                    coin=text(delta, "coin"),
                    time_ms=integer(row, "time"),
                    usdc=decimal(delta, "usdc"),
                    size=decimal(delta, "szi"),
                    rate=real(delta, "fundingRate"),
                )
            )
    return PaymentPage(tuple(payments), len(rows), _last(rows), len(rows) - len(payments))


def _last(rows: list[Mapping[str, Any]]) -> int | None:
    return max((integer(row, "time") for row in rows), default=None)
