"""Reading accounts from the wire: fills, states, roles, ledgers (spec sections 1.3 and 1.4).

Every function raises `BadMessage` for what it cannot trust and nothing else; unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.hyperliquid.coins import is_followed
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import (
    address,
    boolean,
    decimal,
    integer,
    is_buy,
    mapping,
    not_negative,
    optional_decimal,
    optional_integer,
    pair,
    real,
    real_not_negative,
    sequence,
    text,
    to_decimal,
    to_integer,
    traded,
)
from sigmapilot_core.adapters.hyperliquid.messages import (
    ExchangeStatus,
    FillPage,
    SubAccountState,
    TwapPage,
    UserFees,
    UserRole,
)
from sigmapilot_core.domain.events import Fill, Source
from sigmapilot_core.domain.venue import AccountState, PortfolioHistory, Position, SubAccount, TwapSlice

_FEE_TOKEN = "USDC"


def _is_liquidation_of(user: str, row: Mapping[str, Any]) -> bool:
    """True where this account is the one that was liquidated; the note stands on the counterparty's fill as well."""
    note = row.get("liquidation")
    if note is None:
        return False
    liquidated = mapping(note, "liquidation").get("liquidatedUser")
    return liquidated is None or str(liquidated).lower() == user


def _fee(row: Mapping[str, Any]) -> Decimal | None:
    """Fee in USDC; None where it is missing or was paid in another token (documents show " USDC", hence strip)."""
    token = row.get("feeToken", _FEE_TOKEN)
    return optional_decimal(row, "fee") if isinstance(token, str) and token.strip() == _FEE_TOKEN else None


def parse_fill(raw: object, user: str, source: Source = Source.LIVE, known_since_ms: int | None = None) -> Fill:
    """One fill of `user`. Zero price or size is let through: the venue's own settlements may carry it."""
    row = mapping(raw, "fill")
    direction = row.get("dir")
    return Fill(
        user=user,
        coin=text(row, "coin"),
        is_buy=is_buy(row),
        px=traded(row, "px", may_be_zero=True),
        sz=traded(row, "sz", may_be_zero=True),
        time_ms=integer(row, "time"),
        tid=integer(row, "tid"),
        crossed=boolean(row, "crossed"),
        hash=text(row, "hash"),
        oid=optional_integer(row, "oid"),
        start_position=optional_decimal(row, "startPosition"),
        fee=_fee(row),
        closed_pnl=optional_decimal(row, "closedPnl"),
        dir=None if direction is None else text(row, "dir"),
        twap_id=optional_integer(row, "twapId"),
        is_liquidation=_is_liquidation_of(user, row),
        source=source,
        known_since_ms=known_since_ms,
    )


def _last_time(rows: list[Mapping[str, Any]]) -> int | None:
    return max((integer(row, "time") for row in rows), default=None)


def parse_fills(raw: object, user: str, source: Source = Source.LIVE, known_since_ms: int | None = None) -> FillPage:
    """A list of fills in the order sent; those of markets that are not followed are ignored and counted."""
    rows = [mapping(x, "fill") for x in sequence(raw, "fills")]
    fills = tuple(parse_fill(r, user, source, known_since_ms) for r in rows if is_followed(r.get("coin")))
    return FillPage(fills, len(rows), _last_time(rows), len(rows) - len(fills))


def parse_twap_slices(
    raw: object, user: str, source: Source = Source.LIVE, known_since_ms: int | None = None
) -> TwapPage:
    """`userTwapSliceFills`: fills that `userFillsByTime` leaves out; the fill takes the id of its order."""
    rows = [mapping(x, "slice") for x in sequence(raw, "twapSliceFills")]
    fills = [mapping(row.get("fill"), "fill") for row in rows]
    slices = []
    for row, inner in zip(rows, fills, strict=True):
        if is_followed(inner.get("coin")):
            twap_id = integer(row, "twapId")
            known = dict(inner) | {"twapId": twap_id}
            slices.append(TwapSlice(twap_id, parse_fill(known, user, source, known_since_ms)))
    return TwapPage(tuple(slices), len(rows), _last_time(fills), len(rows) - len(slices))


def parse_position(raw: object) -> Position:
    """One element of `assetPositions`."""
    row = mapping(mapping(raw, "assetPosition").get("position"), "position")
    liquidation = None if row.get("liquidationPx") is None else not_negative(row, "liquidationPx")
    return Position(
        coin=text(row, "coin"),
        size=decimal(row, "szi"),
        entry_px=not_negative(row, "entryPx"),
        unrealised_pnl=decimal(row, "unrealizedPnl"),
        leverage=integer(mapping(row.get("leverage"), "leverage"), "value", low=1),
        max_leverage=integer(row, "maxLeverage", low=1),
        liquidation_px=liquidation,
        margin_used=decimal(row, "marginUsed"),
        funding_since_open=decimal(mapping(row.get("cumFunding"), "cumFunding"), "sinceOpen"),
    )


def parse_account(raw: object, user: str) -> AccountState:
    """`clearinghouseState` of `user`. Flat positions and markets that are not followed are left out.

    A unified account shows a value near zero here (spec section 7.3): the positions hold, the equity does not.
    """
    row = mapping(raw, "clearinghouseState")
    listed = [parse_position(x) for x in sequence(row.get("assetPositions"), "assetPositions")]
    positions = tuple(p for p in listed if p.size and is_followed(p.coin))
    if len({p.coin for p in positions}) != len(positions):
        raise BadMessage("assetPositions", [p.coin for p in positions], "each coin at most once")
    return AccountState(
        user=user,
        time_ms=integer(row, "time"),
        account_value=decimal(mapping(row.get("marginSummary"), "marginSummary"), "accountValue"),
        maintenance_margin=decimal(row, "crossMaintenanceMarginUsed"),
        withdrawable=decimal(row, "withdrawable"),
        positions=positions,
    )


def parse_accounts(raw: object, users: tuple[str, ...]) -> tuple[AccountState, ...]:
    """`batchClearinghouseStates`: one state an account, in the order asked; the answer itself names none."""
    rows = sequence(raw, "batchClearinghouseStates")
    if len(rows) != len(users):
        raise BadMessage("batchClearinghouseStates", len(rows), f"{len(users)} states")
    return tuple(parse_account(row, user) for row, user in zip(rows, users, strict=True))


def parse_sub_accounts(raw: object) -> tuple[SubAccountState, ...]:
    """`subAccounts`; null means none."""
    rows = [mapping(x, "subAccount") for x in sequence([] if raw is None else raw, "subAccounts")]
    subs = [SubAccount(text(r, "name"), address(r, "subAccountUser"), address(r, "master")) for r in rows]
    return tuple(
        SubAccountState(sub, parse_account(row.get("clearinghouseState"), sub.user))
        for sub, row in zip(subs, rows, strict=True)
    )


def parse_role(raw: object) -> UserRole:
    """`userRole`; agents name their master as `user`, sub-accounts as `master`."""
    row = mapping(raw, "userRole")
    role, data = text(row, "role"), row.get("data")
    if data is None:
        return UserRole(role)
    owner = mapping(data, "data")
    named = next((key for key in ("master", "user") if owner.get(key) is not None), None)
    return UserRole(role, None if named is None else address(owner, named))


def parse_fees(raw: object) -> UserFees:
    """`userFees`: what the account pays on perpetuals, discounts included."""
    row = mapping(raw, "userFees")
    return UserFees(taker=real(row, "userCrossRate"), maker=real(row, "userAddRate"))


def _history(raw: object, field: str) -> tuple[tuple[int, float], ...]:
    points = [pair(x, field) for x in sequence(raw, field)]
    return tuple((to_integer(ms, field), float(to_decimal(value, field))) for ms, value in points)


def parse_portfolio(raw: object) -> tuple[PortfolioHistory, ...]:
    """`portfolio`: 12 to 130 irregular points a period; for charts, not for accounting."""
    histories = []
    for item in sequence(raw, "portfolio"):
        period, data = pair(item, "period")
        row = mapping(data, "period")
        if not isinstance(period, str):
            raise BadMessage("period", period, "a string")
        histories.append(
            PortfolioHistory(
                period=period,
                account_value=_history(row.get("accountValueHistory"), "accountValueHistory"),
                pnl=_history(row.get("pnlHistory"), "pnlHistory"),
                volume_usd=real_not_negative(row, "vlm"),
            )
        )
    return tuple(histories)


def parse_status(raw: object) -> ExchangeStatus:
    """`exchangeStatus`; null for no special status."""
    row = mapping(raw, "exchangeStatus")
    special = row.get("specialStatuses")
    known = [] if special is None else special if isinstance(special, list) else [special]
    return ExchangeStatus(integer(row, "time"), tuple(x if isinstance(x, str) else repr(x) for x in known))
