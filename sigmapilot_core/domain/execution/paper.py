"""The policy of one round trip, as steps that return orders: enter, protect, leave (spec 6.1, 7).

entry: IOC at mid +- slippage cap -> stop and take-profit at 2R as TP/SL of the whole position -> timeout after 168 h
or opposite consensus: reduce-only IOC of the whole position, repeated until flat. The orders are the same for paper
and for a real account; what happens to them comes back as fills and ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.domain.events import ZERO, Direction, Fill
from sigmapilot_core.domain.execution.orders import Grouping, OrderIntent, Tif, TpSl, Trigger, client_order_id
from sigmapilot_core.domain.execution.rounding import MIN_NOTIONAL_USD, round_price, size_for_notional, worst_price
from sigmapilot_core.domain.market.checks import positive
from sigmapilot_core.domain.market.stops import stop_price, take_profit_price
from sigmapilot_core.domain.params import HOUR_MS, OutcomeParams
from sigmapilot_core.domain.venue import AssetSpec


@dataclass(frozen=True, slots=True)
class TripParams:
    """`entry_slippage` caps the price of the entry, `exit_slippage` that of an exit (as the venue's own TP/SL)."""

    entry_slippage: Decimal = Decimal("0.005")
    exit_slippage: Decimal = Decimal("0.1")
    outcome: OutcomeParams = field(default_factory=OutcomeParams)


class Leg(StrEnum):
    """What an order of a round trip is for."""

    ENTRY = "entry"
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TIMEOUT = "timeout"
    OPPOSITE = "opposite"


class Stage(StrEnum):
    """How far a round trip is. ABANDONED: nothing was bought."""

    ENTERING = "entering"
    OPEN = "open"
    LEAVING = "leaving"
    CLOSED = "closed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class TripSignal:
    """A decision to enter, with its size after all caps and the stop fraction of the trade (regime included)."""

    decision_id: str
    coin: str
    direction: Direction
    mid: Decimal
    notional_usd: Decimal
    stop_fraction: float
    decided_at_ms: int


@dataclass(frozen=True, slots=True)
class LegOrder:
    """An order and its leg."""

    leg: Leg
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class OrderBatch:
    """Orders to send together; none means nothing to do."""

    orders: tuple[LegOrder, ...] = ()
    grouping: Grouping = Grouping.NA

    @property
    def intents(self) -> tuple[OrderIntent, ...]:
        """The orders without their legs."""
        return tuple(order.intent for order in self.orders)


NOTHING = OrderBatch()


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """State of one round trip. `size` is signed and follows the fills; `attempt` counts forced exits.

    `entry_sz` and `entry_notional` sum the entry's fills, so that `entry_px` is their average. `leaving` is the leg of
    the forced exit. `net_pnl_usd` sums closed PnL - fees + funding, None once a fill did not carry them. `funding_usd`
    is the funding in it, received (positive) or paid; `funded_until_ms` the full hour up to which it is settled.
    """

    signal: TripSignal
    stage: Stage
    timeout_at_ms: int
    size: Decimal = ZERO
    entry_sz: Decimal = ZERO
    entry_notional: Decimal = ZERO
    leaving: Leg | None = None
    attempt: int = 0
    net_pnl_usd: Decimal | None = ZERO
    funding_usd: Decimal = ZERO
    funded_until_ms: int | None = None

    @property
    def result_r(self) -> float | None:
        """Net PnL over risk = entry notional x stop fraction; None where unknown, final when the trip is closed."""
        risk = float(self.entry_notional) * self.signal.stop_fraction
        return float(self.net_pnl_usd) / risk if self.net_pnl_usd is not None and risk > 0 else None

    @property
    def entry_px(self) -> Decimal | None:
        """Average price of the entry; None before a fill."""
        return self.entry_notional / self.entry_sz if self.entry_sz else None

    @property
    def is_over(self) -> bool:
        """True when nothing is left to do."""
        return self.stage in (Stage.CLOSED, Stage.ABANDONED)


def start(signal: TripSignal, asset: AssetSpec, params: TripParams | None = None) -> tuple[RoundTrip, OrderBatch]:
    """Enter with an IOC at mid +- the slippage cap, in whole lots worth at most the notional at the mid.

    Errors: ValueError for a bad number or no direction; `ZeroSizeError` or ValueError when the notional is below one
    lot or below the venue's minimum at the limit price.
    """
    params = params or TripParams()
    positive("stop_fraction", signal.stop_fraction)
    positive("mid", signal.mid)
    if signal.direction is Direction.NONE:
        raise ValueError("direction is none; allowed is long or short.")
    is_buy = signal.direction is Direction.LONG
    px = worst_price(signal.mid, is_buy, params.entry_slippage, asset.sz_decimals)
    sz = size_for_notional(signal.notional_usd, signal.mid, asset.sz_decimals)
    if sz * min(px, signal.mid) < MIN_NOTIONAL_USD:
        raise ValueError(
            f"notional_usd is {signal.notional_usd}; allowed is at least {MIN_NOTIONAL_USD} after rounding."
        )
    timeout = signal.decided_at_ms + round(params.outcome.max_hours * HOUR_MS)
    begun_hour = signal.decided_at_ms // HOUR_MS * HOUR_MS
    trip = RoundTrip(signal, Stage.ENTERING, timeout, funded_until_ms=begun_hour)
    intent = OrderIntent(signal.coin, is_buy, px, sz, Tif.IOC, cloid=_cloid(trip, Leg.ENTRY))
    return trip, OrderBatch((LegOrder(Leg.ENTRY, intent),))


def on_fill(trip: RoundTrip, fill: Fill) -> RoundTrip:
    """An own fill in the coin: the position moves; back at flat the trip is closed.

    Errors: ValueError for a fill of another coin.
    """
    if fill.coin != trip.signal.coin:
        raise ValueError(f"coin of the fill is {fill.coin}; allowed is {trip.signal.coin}.")
    is_entry = fill.is_buy == (trip.signal.direction is Direction.LONG)
    size = trip.size + fill.signed_size
    trip = replace(trip, net_pnl_usd=_plus(trip.net_pnl_usd, fill.closed_pnl, fill.fee))
    if is_entry and trip.stage is Stage.ENTERING:
        return replace(
            trip, size=size, entry_sz=trip.entry_sz + fill.sz, entry_notional=trip.entry_notional + fill.notional
        )
    is_flat = size * trip.signal.direction.sign <= 0
    return replace(trip, size=size, stage=Stage.CLOSED if is_flat else trip.stage)


def on_funding(trip: RoundTrip, usdc: Decimal, hour_ms: int) -> RoundTrip:
    """Funding of one full hour, received (positive) or paid while the position was open."""
    paid = replace(trip, funding_usd=trip.funding_usd + usdc, funded_until_ms=hour_ms)
    return replace(paid, net_pnl_usd=_plus(trip.net_pnl_usd, usdc, ZERO))


def on_entry_done(trip: RoundTrip, asset: AssetSpec, params: TripParams | None = None) -> tuple[RoundTrip, OrderBatch]:
    """The entry order is over: protect what was bought, or abandon the trip if nothing was."""
    if trip.stage is not Stage.ENTERING:
        return trip, NOTHING
    if not trip.size:
        return replace(trip, stage=Stage.ABANDONED), NOTHING
    trip = replace(trip, stage=Stage.OPEN)
    return trip, protection(trip, asset, params)


def protection(trip: RoundTrip, asset: AssetSpec, params: TripParams | None = None) -> OrderBatch:
    """Stop and take-profit of the whole position, as sent after the entry and again after a restart."""
    params = params or TripParams()
    stop_px, target_px = exit_prices(trip, asset, params)
    orders = []
    for leg, kind, px in ((Leg.STOP, TpSl.SL, stop_px), (Leg.TAKE_PROFIT, TpSl.TP, target_px)):
        is_buy = trip.signal.direction is Direction.SHORT
        limit = worst_price(px, is_buy, params.exit_slippage, asset.sz_decimals)
        intent = OrderIntent(
            trip.signal.coin, is_buy, limit, abs(trip.size), reduce_only=True, trigger=Trigger(px, kind),
            cloid=_cloid(trip, leg),
        )  # fmt: skip
        orders.append(LegOrder(leg, intent))
    return OrderBatch(tuple(orders), Grouping.POSITION_TPSL)


def exit_prices(trip: RoundTrip, asset: AssetSpec, params: TripParams | None = None) -> tuple[Decimal, Decimal]:
    """(stop, take-profit at 2R) from the average entry, at legal prices. Errors: ValueError before the entry."""
    params = params or TripParams()
    if trip.entry_px is None:
        raise ValueError("entry_px is missing; allowed after a fill of the entry.")
    entry, signal = float(trip.entry_px), trip.signal
    stop = stop_price(entry, signal.direction, signal.stop_fraction)
    target = take_profit_price(entry, signal.direction, signal.stop_fraction, params.outcome.take_profit_r)
    decimals = asset.sz_decimals
    return round_price(Decimal(repr(stop)), decimals), round_price(Decimal(repr(target)), decimals)


def on_time(
    trip: RoundTrip, now_ms: int, mid: Decimal, asset: AssetSpec, params: TripParams | None = None
) -> tuple[RoundTrip, OrderBatch]:
    """Leave when the time is over; repeat a forced exit that left something. To be called with every timer."""
    if trip.stage is Stage.LEAVING and trip.leaving is not None:
        return leave(trip, trip.leaving, mid, asset, params)
    if trip.stage is Stage.OPEN and now_ms >= trip.timeout_at_ms:
        return leave(trip, Leg.TIMEOUT, mid, asset, params)
    return trip, NOTHING


def on_opposite(
    trip: RoundTrip, mid: Decimal, asset: AssetSpec, params: TripParams | None = None
) -> tuple[RoundTrip, OrderBatch]:
    """An opposite consensus in the coin: leave."""
    if trip.stage is not Stage.OPEN:
        return trip, NOTHING
    return leave(trip, Leg.OPPOSITE, mid, asset, params)


def on_protection_refused(
    trip: RoundTrip, leg: Leg, mid: Decimal, asset: AssetSpec, params: TripParams | None = None
) -> tuple[RoundTrip, OrderBatch]:
    """The venue refused the stop or the take-profit, mostly because its price was already passed: leave at once.

    A position without its stop is not kept.
    """
    if trip.stage is not Stage.OPEN:
        return trip, NOTHING
    return leave(trip, leg, mid, asset, params)


def leave(
    trip: RoundTrip, leg: Leg, mid: Decimal, asset: AssetSpec, params: TripParams | None = None
) -> tuple[RoundTrip, OrderBatch]:
    """Reduce-only IOC of the whole position at mid +- the exit cap; every repetition has its own client id.

    To be repeated only when the order before is over. Stop and take-profit stay until the venue cancels them with the
    position.
    Errors: ValueError for a mid that is not finite and above zero.
    """
    params = params or TripParams()
    is_buy = trip.signal.direction is Direction.SHORT
    positive("mid", mid)
    px = worst_price(mid, is_buy, params.exit_slippage, asset.sz_decimals)
    after = replace(trip, stage=Stage.LEAVING, leaving=leg, attempt=trip.attempt + 1)
    intent = OrderIntent(
        trip.signal.coin, is_buy, px, abs(trip.size), Tif.IOC, reduce_only=True, cloid=_cloid(after, leg, after.attempt)
    )
    return after, OrderBatch((LegOrder(leg, intent),))


def _cloid(trip: RoundTrip, leg: Leg, attempt: int = 0) -> str:
    return client_order_id(trip.signal.decision_id, leg.value, attempt)


def _plus(total: Decimal | None, gained: Decimal | None, fee: Decimal | None) -> Decimal | None:
    return None if total is None or gained is None or fee is None else total + gained - fee
