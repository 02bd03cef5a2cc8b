"""Order values and the venue's vocabulary (venue reference 1.4, 5.3)."""

from __future__ import annotations

import pytest
from venue_builders import NOW, A, D, buy, stop

from sigmapilot_core.domain.execution.orders import Order, OrderIntent, OrderStatus, Tif, TpSl, Trigger, client_order_id

VOCABULARY = (
    "open filled canceled triggered rejected marginCanceled vaultWithdrawalCanceled openInterestCapCanceled "
    "selfTradeCanceled reduceOnlyCanceled siblingFilledCanceled delistedCanceled liquidatedCanceled "
    "outcomeSettledCanceled scheduledCancel internalCancel tickRejected minTradeNtlRejected perpMarginRejected "
    "reduceOnlyRejected badAloPxRejected iocCancelRejected badTriggerPxRejected marketOrderNoLiquidityRejected "
    "positionIncreaseAtOpenInterestCapRejected positionFlipAtOpenInterestCapRejected "
    "tooAggressiveAtOpenInterestCapRejected openInterestIncreaseRejected insufficientSpotBalanceRejected "
    "oracleRejected perpMaxPositionRejected tooManyOpenOrdersRejected"
)


def test_statuses_are_the_vocabulary_of_the_reference() -> None:
    assert {status.value for status in OrderStatus} == set(VOCABULARY.split())


def test_client_ids_are_128_bits_and_a_function_of_the_intent() -> None:
    one = client_order_id("d-1", "entry")
    assert one == client_order_id("d-1", "entry")
    assert len(one) == 34
    assert int(one, 16) < 2**128
    others = {client_order_id("d-1", "stop"), client_order_id("d-2", "entry"), client_order_id("d-1", "entry", 1), one}
    assert len(others) == 4
    with pytest.raises(ValueError, match="leg"):
        client_order_id("d-1", "")


@pytest.mark.parametrize(
    ("is_buy", "tpsl", "fires_at", "waits_at"),
    [
        (False, TpSl.SL, 99, 101),  # a long's stop sells when the mark falls
        (False, TpSl.TP, 101, 99),
        (True, TpSl.SL, 101, 99),
        (True, TpSl.TP, 99, 101),
    ],
)
def test_triggers_fire_on_their_side_of_the_mark(is_buy: bool, tpsl: TpSl, fires_at: int, waits_at: int) -> None:
    trigger = Trigger(D(100), tpsl)
    assert trigger.is_met(is_buy, D(fires_at))
    assert trigger.is_met(is_buy, D(100))
    assert not trigger.is_met(is_buy, D(waits_at))


@pytest.mark.parametrize(
    ("intent", "name"),
    [
        (buy("1", "1"), "Limit"),
        (buy("1", "1", Tif.IOC), "Limit"),
        (buy("1", "1", Tif.FRONTEND_MARKET), "Market"),
        (stop(False, "1", "1"), "Stop Market"),
        (stop(False, "1", "1", limit="1"), "Stop Limit"),
        (stop(False, "1", "1", TpSl.TP), "Take Profit Market"),
        (stop(False, "1", "1", TpSl.TP, limit="1"), "Take Profit Limit"),
    ],
)
def test_order_types_are_the_venues_words(intent: OrderIntent, name: str) -> None:
    order = Order(1, A, intent, D(1), D(1), NOW, OrderStatus.OPEN, NOW)
    assert order.order_type == name
