"""Booking a trade on both accounts: positions, realised PnL, fees and each party's fill (venue reference 1.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Fill, Trade
from sigmapilot_core.domain.execution.accounts import Account
from sigmapilot_core.domain.execution.fees import (
    BASE_RATES,
    FEE_QUANTUM,
    FeeRates,
    fee_usd,
    rates_for_volume,
    volume_before,
)
from sigmapilot_core.domain.execution.venue_state import VenueState, is_external
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders.ledger import step


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a trade; `oid` 0 is external liquidity."""

    user: str
    oid: int
    is_liquidated: bool = False


def book_trade(
    state: VenueState, coin: str, taker: Party, maker: Party, taker_buys: bool, px: Decimal, sz: Decimal
) -> None:
    """Trade `sz` at `px`: both ledgers and cash, one trade, a fill for each real account, taker first."""
    buyer, seller = (taker, maker) if taker_buys else (maker, taker)
    tid = state.trade_id(coin, buyer.oid, seller.oid)
    tx = state.transaction_hash()
    trade = Trade(coin, px, sz, state.now_ms, tid, tx, buyer.user, seller.user, aggressor_is_buyer=taker_buys)
    state.log.trades.append(trade)
    for party, is_taker in ((taker, True), (maker, False)):
        fill = Fill(
            user=party.user, coin=coin, is_buy=party is buyer, px=px, sz=sz, time_ms=state.now_ms, tid=tid,
            crossed=is_taker, hash=tx, oid=party.oid, is_liquidation=party.is_liquidated,
        )  # fmt: skip
        settled = settle(state, fill)
        if not is_external(party.user):
            state.log.fills.append(settled)


def settle(state: VenueState, fill: Fill, *, is_free: bool = False) -> Fill:
    """The fill applied to its account, completed with start position, closed PnL, fee and direction text.

    External liquidity and take-overs (`is_free`) pay no fee.
    """
    account = state.account(fill.user)
    before = account.ledger(fill.coin)
    ledger, change = step(before, fill, state.spec(fill.coin).sz_decimals)
    fee = ZERO if is_free or is_external(fill.user) else _charge(state, account, fill)
    realised = change.realised or ZERO
    account.ledgers[fill.coin] = ledger
    account.cash += realised - fee
    state.fee_pot += fee
    if not ledger.position or ledger.position * before.position < 0:
        account.funding_since_open.pop(fill.coin, None)
    return replace(
        fill,
        start_position=before.position,
        closed_pnl=realised.quantize(FEE_QUANTUM),
        fee=fee,
        dir=direction_text(before.position, ledger.position, fill.is_buy, fill.is_liquidation),
    )


def rates_of(state: VenueState, account: Account) -> FeeRates:
    """The account's own rates if set, else its volume tier, else the base tier."""
    if account.rates is not None:
        return account.rates
    if not state.config.uses_fee_tiers:
        return BASE_RATES
    return rates_for_volume(volume_before(account.volume_by_day, state.now_ms // DAY_MS))


def direction_text(before: Decimal, after: Decimal, is_buy: bool, is_liquidation: bool = False) -> str:
    """The venue's words for what a fill did to a position."""
    if before * after < 0:
        return "Short > Long" if is_buy else "Long > Short"
    side = "Long" if before > 0 or (before == 0 and is_buy) else "Short"
    if before * (1 if is_buy else -1) < 0:
        return f"Liquidated Cross {side}" if is_liquidation else f"Close {side}"
    return f"Open {side}"


def _charge(state: VenueState, account: Account, fill: Fill) -> Decimal:
    """Fee of the fill; its notional counts for the tier from the next day on."""
    fee = fee_usd(fill.px, fill.sz, rates_of(state, account), fill.crossed)
    day = state.now_ms // DAY_MS
    account.volume_by_day[day] = account.volume_by_day.get(day, ZERO) + fill.px * fill.sz
    return fee
