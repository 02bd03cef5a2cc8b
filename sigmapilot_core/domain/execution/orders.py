"""Orders: what is asked for, what became of it, and the venue's vocabulary (venue reference 1.4, 5.1-5.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.domain.events import ZERO


class Tif(StrEnum):
    """Time in force."""

    GTC = "Gtc"
    IOC = "Ioc"
    ALO = "Alo"
    FRONTEND_MARKET = "FrontendMarket"
    LIQUIDATION_MARKET = "LiquidationMarket"

    @property
    def is_immediate(self) -> bool:
        """True if nothing of the order may rest."""
        return self in (Tif.IOC, Tif.FRONTEND_MARKET, Tif.LIQUIDATION_MARKET)


class TpSl(StrEnum):
    """Take-profit or stop-loss."""

    TP = "tp"
    SL = "sl"


class Grouping(StrEnum):
    """How the orders of a batch belong together."""

    NA = "na"
    NORMAL_TPSL = "normalTpsl"
    POSITION_TPSL = "positionTpsl"


class OrderStatus(StrEnum):
    """Every status the venue is known to use; `open` alone is live."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    TRIGGERED = "triggered"
    REJECTED = "rejected"
    MARGIN_CANCELED = "marginCanceled"
    VAULT_WITHDRAWAL_CANCELED = "vaultWithdrawalCanceled"
    OPEN_INTEREST_CAP_CANCELED = "openInterestCapCanceled"
    SELF_TRADE_CANCELED = "selfTradeCanceled"
    REDUCE_ONLY_CANCELED = "reduceOnlyCanceled"
    SIBLING_FILLED_CANCELED = "siblingFilledCanceled"
    DELISTED_CANCELED = "delistedCanceled"
    LIQUIDATED_CANCELED = "liquidatedCanceled"
    OUTCOME_SETTLED_CANCELED = "outcomeSettledCanceled"
    SCHEDULED_CANCEL = "scheduledCancel"
    INTERNAL_CANCEL = "internalCancel"
    TICK_REJECTED = "tickRejected"
    MIN_TRADE_NTL_REJECTED = "minTradeNtlRejected"
    PERP_MARGIN_REJECTED = "perpMarginRejected"
    REDUCE_ONLY_REJECTED = "reduceOnlyRejected"
    BAD_ALO_PX_REJECTED = "badAloPxRejected"
    IOC_CANCEL_REJECTED = "iocCancelRejected"
    BAD_TRIGGER_PX_REJECTED = "badTriggerPxRejected"
    MARKET_ORDER_NO_LIQUIDITY_REJECTED = "marketOrderNoLiquidityRejected"
    POSITION_INCREASE_AT_OPEN_INTEREST_CAP_REJECTED = "positionIncreaseAtOpenInterestCapRejected"
    POSITION_FLIP_AT_OPEN_INTEREST_CAP_REJECTED = "positionFlipAtOpenInterestCapRejected"
    TOO_AGGRESSIVE_AT_OPEN_INTEREST_CAP_REJECTED = "tooAggressiveAtOpenInterestCapRejected"
    OPEN_INTEREST_INCREASE_REJECTED = "openInterestIncreaseRejected"
    INSUFFICIENT_SPOT_BALANCE_REJECTED = "insufficientSpotBalanceRejected"
    ORACLE_REJECTED = "oracleRejected"
    PERP_MAX_POSITION_REJECTED = "perpMaxPositionRejected"
    TOO_MANY_OPEN_ORDERS_REJECTED = "tooManyOpenOrdersRejected"

    @property
    def is_rejected(self) -> bool:
        """True if the order was never live."""
        return self is OrderStatus.REJECTED or self.value.endswith("Rejected")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Fires on the mark price; a market trigger becomes an immediate order with 10 % slippage, else a limit order."""

    px: Decimal
    tpsl: TpSl
    is_market: bool = True

    def is_met(self, is_buy: bool, mark_px: Decimal) -> bool:
        """A sell stop and a buy take-profit fire at or below the trigger, the other two at or above it."""
        fires_below = is_buy == (self.tpsl is TpSl.TP)
        return mark_px <= self.px if fires_below else mark_px >= self.px


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """An order as it is sent; `tif` is not used for triggers. `cloid` is 0x and 32 hexadecimal digits."""

    coin: str
    is_buy: bool
    px: Decimal
    sz: Decimal
    tif: Tif = Tif.GTC
    reduce_only: bool = False
    trigger: Trigger | None = None
    cloid: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order and what became of it, as of `status_ms`.

    `orig_sz` is as asked, `sz` what is left. `is_whole` stands for "the entire position at trigger time". `parent_oid`
    is set while the order waits for its parent to fill; `oco` is shared by siblings of which one cancels the others.
    """

    oid: int
    user: str
    intent: OrderIntent
    orig_sz: Decimal
    sz: Decimal
    time_ms: int
    status: OrderStatus
    status_ms: int
    filled_sz: Decimal = ZERO
    filled_notional: Decimal = ZERO
    is_position_tpsl: bool = False
    is_whole: bool = False
    is_triggered: bool = False
    parent_oid: int | None = None
    children: tuple[int, ...] = ()
    oco: int | None = None

    @property
    def coin(self) -> str:
        return self.intent.coin

    @property
    def is_buy(self) -> bool:
        return self.intent.is_buy

    @property
    def px(self) -> Decimal:
        """Limit price."""
        return self.intent.px

    @property
    def is_live(self) -> bool:
        """True while it rests or waits."""
        return self.status is OrderStatus.OPEN

    @property
    def is_over(self) -> bool:
        """True for a final status; a trigger that just fired is neither live nor over."""
        return self.status not in (OrderStatus.OPEN, OrderStatus.TRIGGERED)

    @property
    def is_armed(self) -> bool:
        """True for a trigger that waits for the mark, not for its parent."""
        return self.is_live and self.intent.trigger is not None and not self.is_triggered and self.parent_oid is None

    @property
    def is_resting(self) -> bool:
        """True while it stands in the book."""
        return self.is_live and (self.intent.trigger is None or self.is_triggered)

    @property
    def avg_px(self) -> Decimal | None:
        """Average price of what was filled, weighted by size; None without a fill."""
        return self.filled_notional / self.filled_sz if self.filled_sz else None

    @property
    def order_type(self) -> str:
        """The venue's word: Market, Limit, Stop Market, Stop Limit, Take Profit Market, Take Profit Limit."""
        trigger = self.intent.trigger
        if trigger is None:
            market = self.intent.tif in (Tif.FRONTEND_MARKET, Tif.LIQUIDATION_MARKET)
            return "Market" if market else "Limit"
        kind = "Take Profit" if trigger.tpsl is TpSl.TP else "Stop"
        return f"{kind} {'Market' if trigger.is_market else 'Limit'}"


class AnswerKind(StrEnum):
    """First word of one status in the answer to an order action."""

    RESTING = "resting"
    FILLED = "filled"
    ERROR = "error"
    WAITING_FOR_FILL = "waitingForFill"
    WAITING_FOR_TRIGGER = "waitingForTrigger"


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """Answer to one order. `oid` is None only for what was refused before it became an order."""

    kind: AnswerKind
    oid: int | None = None
    cloid: str | None = None
    total_sz: Decimal | None = None
    avg_px: Decimal | None = None
    error: str | None = None


def client_order_id(decision_id: str, leg: str, attempt: int = 0) -> str:
    """128 bits of SHA-256 over decision, leg and attempt: the same intent always has the same id.

    Errors: ValueError for an empty decision id or leg, or a negative attempt.
    """
    if not decision_id or not leg or attempt < 0:
        raise ValueError(f"decision_id {decision_id!r}, leg {leg!r}, attempt {attempt}; allowed: not empty, 0 or more.")
    return "0x" + hashlib.sha256(f"{decision_id}:{leg}:{attempt}".encode()).hexdigest()[:32]
