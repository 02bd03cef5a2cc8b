"""Answers about accounts: positions, fills, ledger, portfolio, roles (spec section 1.3, 1.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import Any

from sigmapilot_core.adapters.emulator.info import Body, Handler, Unprocessable
from sigmapilot_core.adapters.emulator.info_market import PAGE_LIMIT, is_first_dex, time_range
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid import encode_account as encode
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.execution.fees import BASE_RATES
from sigmapilot_core.domain.venue import AccountState

FILL_LIMIT = 2_000
BATCH_LIMIT = 50
_ZERO = Decimal(0)


def _state(venue: Venue, body: Body) -> Any:
    user = body.user()
    if is_first_dex(body):
        return encode.account(venue.account(user))
    return encode.account(AccountState(user, venue.now_ms, _ZERO, _ZERO, _ZERO, ()))


def _states(venue: Venue, body: Body) -> Any:
    users = body.users()
    if not venue.batch_states or len(users) > BATCH_LIMIT:
        raise Unprocessable
    return [encode.account(venue.account(user)) for user in users]


def merged(fills: Iterable[Fill]) -> list[Fill]:
    """Partial fills of one crossing order as one: `aggregateByTime`. Price is weighted by size, money is added."""
    return [_merged(list(rows)) for _, rows in groupby(fills, key=_order_key)]


def _order_key(fill: Fill) -> tuple[object, ...]:
    return (fill.coin, fill.time_ms, fill.is_buy, fill.crossed, fill.oid if fill.crossed else fill.tid)


def _merged(rows: Sequence[Fill]) -> Fill:
    if len(rows) == 1:
        return rows[0]
    size = sum((f.sz for f in rows), _ZERO)
    return replace(
        rows[0],
        sz=size,
        px=round(sum((f.notional for f in rows), _ZERO) / size, 8),
        fee=_added([f.fee for f in rows]),
        closed_pnl=_added([f.closed_pnl for f in rows]),
    )


def _added(values: Sequence[Decimal | None]) -> Decimal | None:
    """Sum; unknown when one of the parts is."""
    known = [v for v in values if v is not None]
    return sum(known, _ZERO) if len(known) == len(values) else None


def wire_fills(fills: Sequence[Fill], aggregate: bool) -> list[Any]:
    """Fills in the venue's format, in the order given."""
    return [encode.fill(f) for f in (merged(fills) if aggregate else fills)]


def _fills(venue: Venue, body: Body) -> Any:
    newest = venue.fills(body.user(), 0, venue.now_ms)[-FILL_LIMIT:]
    return wire_fills(newest, body.flag("aggregateByTime"))[::-1]


def _fills_by_time(venue: Venue, body: Body) -> Any:
    start, end = time_range(venue, body)
    found = venue.fills(body.user(), start, end)
    page = found[-FILL_LIMIT:][::-1] if body.flag("reversed") else found[:FILL_LIMIT]
    return wire_fills(page, body.flag("aggregateByTime"))


def _slices(venue: Venue, body: Body) -> Any:
    return [encode.twap_slice(s) for s in venue.twap_slices(body.user(), 0, venue.now_ms)[-FILL_LIMIT:]][::-1]


def _slices_by_time(venue: Venue, body: Body) -> Any:
    start, end = time_range(venue, body)
    return [encode.twap_slice(s) for s in venue.twap_slices(body.user(), start, end)[:FILL_LIMIT]]


def _funding(venue: Venue, body: Body) -> Any:
    start, end = time_range(venue, body)
    return [encode.funding_payment(p) for p in venue.funding_payments(body.user(), start, end)[:PAGE_LIMIT]]


def _ledger(venue: Venue, body: Body) -> Any:
    start, end = time_range(venue, body)
    return [encode.cash_flow(f) for f in venue.cash_flows(body.user(), start, end)[:PAGE_LIMIT]]


def _portfolio(venue: Venue, body: Body) -> Any:
    return encode.portfolio(venue.portfolio(body.user()))


def _sub_accounts(venue: Venue, body: Body) -> Any:
    subs = venue.sub_accounts(body.user())
    return [encode.sub_account(s, venue.account(s.user)) for s in subs] or None


def _fees(venue: Venue, body: Body) -> Any:
    """The base tier: that of every account here, as fees are not tiered by what the source trades."""
    body.user()
    return encode.user_fees(float(BASE_RATES.taker), float(BASE_RATES.maker))


def _spot_state(venue: Venue, body: Body) -> Any:
    user = body.user()
    own = venue.desk.accounts.get(user)
    if own is not None:
        total = encode.decimal_text(own.spot_usd)
    elif venue.faults.find("unified_account", user=user):
        total = encode.decimal_text(venue.source.account(user).account_value)
    else:
        return {"balances": []}
    return {"balances": [{"coin": "USDC", "token": 0, "total": total, "hold": "0.0", "entryNtl": "0.0"}]}


def _abstraction(venue: Venue, body: Body) -> Any:
    return "unifiedAccount" if venue.faults.find("unified_account", user=body.user()) else "default"


def _nothing_of(empty: Any) -> Handler:
    """A type whose subject this venue does not have; the user must still be readable."""

    def answer(venue: Venue, body: Body) -> Any:
        body.user()
        return empty

    return answer


ACCOUNT_INFO: dict[str, Handler] = {
    "clearinghouseState": _state,
    "batchClearinghouseStates": _states,
    "userFills": _fills,
    "userFillsByTime": _fills_by_time,
    "userTwapSliceFills": _slices,
    "userTwapSliceFillsByTime": _slices_by_time,
    "userFunding": _funding,
    "userNonFundingLedgerUpdates": _ledger,
    "portfolio": _portfolio,
    "subAccounts": _sub_accounts,
    "userFees": _fees,
    "spotClearinghouseState": _spot_state,
    "userAbstraction": _abstraction,
    "userDexAbstraction": _nothing_of(None),
    "userVaultEquities": _nothing_of([]),
    "leadingVaults": _nothing_of([]),
    "vaultDetails": lambda venue, body: None,
    "vaultSummaries": lambda venue, body: [],
    "twapHistory": _nothing_of([]),
    "maxBuilderFee": _nothing_of(0),
    "referral": _nothing_of(None),
    "delegations": _nothing_of([]),
}
