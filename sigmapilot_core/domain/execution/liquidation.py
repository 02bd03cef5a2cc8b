"""Accounts below their maintenance margin (venue reference 6), and the hourly funding that may bring them there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Fill
from sigmapilot_core.domain.execution.accounts import Account, equity, maintenance_margin, notional
from sigmapilot_core.domain.execution.orders import Order, OrderIntent, OrderStatus, Tif
from sigmapilot_core.domain.execution.placing import match_immediately, settle_taken
from sigmapilot_core.domain.execution.rounding import worst_price
from sigmapilot_core.domain.execution.settlement import settle
from sigmapilot_core.domain.execution.venue_state import Liquidation, VenueState, is_external
from sigmapilot_core.domain.venue import FundingPayment

BACKSTOP_USER = "0x" + "0" * 36 + "bac5"
"""Takes over positions and margin of accounts that the book could not close."""
_BACKSTOP_SHARE = Decimal(2) / 3


def liquidate_below_margin(state: VenueState, coin: str) -> None:
    """Check every account that holds the coin: below maintenance margin its orders are cancelled and its positions
    sent to the book; below two thirds of it (before or after that) the backstop takes over without a trade.
    """
    for user in sorted(state.accounts):
        account = state.accounts[user]
        if is_external(user) or user == BACKSTOP_USER or not account.position(coin):
            continue
        if _shortfall(state, account) is None:
            continue
        for order in state.orders.live(user):
            if state.orders.get(order.oid).is_live:
                state.finish(order, OrderStatus.LIQUIDATED_CANCELED)
        if _shortfall(state, account) != "backstop":
            _report(state, account, "market")
            _close_on_book(state, account)
        if _shortfall(state, account) == "backstop":
            _report(state, account, "backstop")
            _take_over(state, account)


def apply_funding(state: VenueState, coin: str, rate_hourly: float) -> None:
    """One hour of funding: every position pays size x oracle price x rate; a long pays a positive rate."""
    px = state.oracles.get(coin) or state.mark(coin)
    rate = Decimal(repr(rate_hourly))
    if not rate.is_finite():
        raise ValueError(f"rate_hourly is {rate_hourly}; allowed is a finite number.")
    for user in sorted(state.accounts):
        account = state.accounts[user]
        size = account.position(coin)
        if not size:
            continue
        received = -size * px * rate
        account.cash += received
        account.funding_since_open[coin] = account.funding_since_open.get(coin, ZERO) + received
        if not is_external(user):
            state.log.funding.append(FundingPayment(user, coin, state.now_ms, received, size, rate_hourly))


def _shortfall(state: VenueState, account: Account) -> str | None:
    """None above maintenance margin, `market` below it, `backstop` below two thirds of it."""
    value = equity(account, state.marks)
    needed = maintenance_margin(account, state.marks, state.specs)
    if not needed or value >= needed:
        return None
    return "market" if value >= needed * _BACKSTOP_SHARE else "backstop"


def _close_on_book(state: VenueState, account: Account) -> None:
    """Market orders for all positions, the largest notional first, at most 10 % away from the mark."""
    held = sorted(account.held(), key=lambda ledger: -abs(ledger.position) * state.mark(ledger.coin))
    for ledger in held:
        sz, is_buy, coin = abs(ledger.position), ledger.position < 0, ledger.coin
        spec = state.spec(coin)
        limit = worst_price(state.mark(coin), is_buy, state.config.market_slippage, spec.sz_decimals)
        intent = OrderIntent(coin, is_buy, limit, sz, Tif.LIQUIDATION_MARKET, reduce_only=True)
        order = Order(
            state.orders.next_oid(), account.user, intent, sz, sz, state.now_ms, OrderStatus.OPEN, state.now_ms
        )
        taken = match_immediately(state, order, limit, is_liquidated=True)
        order = settle_taken(state, order, taken)
        if order.status is not OrderStatus.FILLED:
            state.store(replace(order, status=OrderStatus.CANCELED))
        if _shortfall(state, account) is None:
            return


def _take_over(state: VenueState, account: Account) -> None:
    """Positions move to the backstop at the mark, and with them all that is left of (or missing from) the account."""
    for ledger in account.held():
        px, sz = state.mark(ledger.coin), abs(ledger.position)
        for user, is_buy in ((account.user, ledger.position < 0), (BACKSTOP_USER, ledger.position > 0)):
            settle(
                state,
                Fill(user, ledger.coin, is_buy, px, sz, state.now_ms, 0, crossed=False, is_liquidation=True),
                is_free=True,
            )
    state.account(BACKSTOP_USER).cash += account.cash
    account.cash = ZERO


def _report(state: VenueState, account: Account, method: str) -> None:
    value, size = equity(account, state.marks), notional(account, state.marks)
    state.log.liquidations.append(Liquidation(account.user, state.now_ms, value, size, method))
