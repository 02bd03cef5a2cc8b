"""The venue's refusals, word for word, with the status of the order they leave behind (venue reference 5.5)."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from sigmapilot_core.domain.execution.orders import OrderStatus
from sigmapilot_core.domain.execution.rounding import wire_text


class Refusal(Enum):
    """(text, status). The last four texts are our own: the venue's are not known."""

    TICK = ("Price must be divisible by tick size.", OrderStatus.TICK_REJECTED)
    PRICE = ("Order has invalid price.", OrderStatus.REJECTED)
    SIZE = ("Order has invalid size.", OrderStatus.REJECTED)
    ZERO_SIZE = ("Order has zero size.", OrderStatus.REJECTED)
    MIN_NOTIONAL = ("Order must have minimum value of $10.", OrderStatus.MIN_TRADE_NTL_REJECTED)
    MARGIN = ("Insufficient margin to place order.", OrderStatus.PERP_MARGIN_REJECTED)
    REDUCE_ONLY = ("Reduce only order would increase position.", OrderStatus.REDUCE_ONLY_REJECTED)
    ALO = ("Post only order would have immediately matched, bbo was {bbo}.", OrderStatus.BAD_ALO_PX_REJECTED)
    IOC = ("Order could not immediately match against any resting orders.", OrderStatus.IOC_CANCEL_REJECTED)
    NO_LIQUIDITY = ("No liquidity available for market order.", OrderStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED)
    TRIGGER = ("Invalid TP/SL price.", OrderStatus.BAD_TRIGGER_PX_REJECTED)
    BAND = ("Order price cannot be more than 80% away from the reference price", OrderStatus.ORACLE_REJECTED)
    CANCEL = ("Order was never placed, already canceled, or filled.", OrderStatus.REJECTED)
    MODIFY = ("Cannot modify canceled or filled order", OrderStatus.REJECTED)
    MODIFY_TYPE = ("Modify without always_place must be post only.", OrderStatus.REJECTED)
    EMPTY = ("Empty order batch.", OrderStatus.REJECTED)
    ENTRY_TRIGGER = ("TP/SL orders must be reduce only.", OrderStatus.REJECTED)
    DUPLICATE_CLOID = ("Client order id was already used.", OrderStatus.REJECTED)

    @property
    def text(self) -> str:
        """The words, without the asset."""
        return self.value[0]

    @property
    def status(self) -> OrderStatus:
        """Status of the refused order."""
        return self.value[1]

    def for_asset(self, index: int, bbo: str = "") -> str:
        """The words with the venue's ending ` asset=N`."""
        return f"{self.text.replace('{bbo}', bbo)} asset={index}"


def bbo_text(bid: Decimal | None, ask: Decimal | None) -> str:
    """`bid@ask`; an empty side is `None`."""
    return "@".join("None" if px is None else wire_text(px) for px in (bid, ask))
