"""Positions, PnL, fees, margin, funding and liquidation (venue reference 1.3, 6)."""

from __future__ import annotations

import pytest
from venue_builders import NOW, A, B, D, answer, buy, hold, levels, liquid, place, sell, size_of, stop, venue

from sigmapilot_core.domain.execution.book import EXTERNAL_USER
from sigmapilot_core.domain.execution.fees import FeeRates, rates_for_volume
from sigmapilot_core.domain.execution.liquidation import BACKSTOP_USER
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import OrderStatus, Tif
from sigmapilot_core.domain.execution.settlement import direction_text
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS


def trade(engine: MatchingEngine, px: str, signed: str) -> None:
    """A trades with external liquidity at one price."""
    is_buy = not signed.startswith("-")
    level = levels((px, "1000"))
    engine.set_external_book("BTC", () if is_buy else level, level if is_buy else (), NOW)
    intent = buy(px, signed, Tif.IOC) if is_buy else sell(px, signed[1:], Tif.IOC)
    assert answer(engine, A, intent).error is None


def test_average_entry_and_gross_closed_pnl_by_hand() -> None:
    engine = venue()
    trade(engine, "100000", "1")
    trade(engine, "101000", "1")
    position = engine.position(A, "BTC")
    assert position is not None
    assert (position.size, position.entry_px) == (D(2), D(100_500))
    engine.set_external_book("BTC", levels(("102000", "5")), (), NOW)
    (fill,) = place(engine, A, sell("102000", "1", Tif.IOC)).events.fills
    assert (fill.start_position, fill.closed_pnl, fill.dir) == (D(2), D(1500), "Close Long")
    assert fill.fee == D("45.9")  # 102 000 x 0.00045, not part of the closed PnL
    rest = engine.position(A, "BTC")
    assert rest is not None
    assert (rest.size, rest.entry_px) == (D(1), D(100_500))


def test_a_flip_closes_all_and_opens_the_remainder_at_the_price() -> None:
    engine = venue()
    trade(engine, "100000", "2")
    engine.set_external_book("BTC", levels(("103000", "5")), (), NOW)
    (fill,) = place(engine, A, sell("103000", "3", Tif.IOC)).events.fills
    assert (fill.closed_pnl, fill.dir) == (D(6000), "Long > Short")
    position = engine.position(A, "BTC")
    assert position is not None
    assert (position.size, position.entry_px) == (D(-1), D(103_000))


@pytest.mark.parametrize(
    ("before", "after", "is_buy", "text"),
    [
        (0, 1, True, "Open Long"), (1, 2, True, "Open Long"), (2, 1, False, "Close Long"), (1, 0, False, "Close Long"),
        (0, -1, False, "Open Short"), (-1, -2, False, "Open Short"), (-2, -1, True, "Close Short"),
        (1, -1, False, "Long > Short"), (-1, 1, True, "Short > Long"),
    ],
)  # fmt: skip
def test_direction_texts(before: int, after: int, is_buy: bool, text: str) -> None:
    assert direction_text(D(before), D(after), is_buy) == text


def test_taker_and_maker_pay_their_own_rate() -> None:
    engine = venue()
    place(engine, A, sell("100000", "0.1"))
    taker, maker = place(engine, B, buy("100000", "0.1", Tif.IOC)).events.fills
    assert (taker.fee, maker.fee) == (D("4.5"), D("1.5"))
    assert engine.fees_collected == 6


def test_own_rates_and_rebates() -> None:
    engine = venue()
    engine.set_fee_rates(A, FeeRates(D("0.0003"), D("-0.00002")))
    place(engine, A, sell("100000", "0.1"))
    place(engine, B, buy("100000", "0.1", Tif.IOC))
    assert engine.equity(A) == D(1_000_000) + D("0.2")


def test_the_tier_follows_the_volume_of_the_fourteen_days_before() -> None:
    engine = venue(asks=levels(("100000", "1000")), money="10000000")
    assert answer(engine, A, buy("100000", "60", Tif.IOC)).error is None  # 6M today
    (today,) = place(engine, A, buy("100000", "1", Tif.IOC)).events.fills
    assert today.fee == D(45)
    (fill,) = engine.place(A, [buy("100000", "1", Tif.IOC)], NOW + DAY_MS).events.fills
    assert fill.fee == D(40)
    (later,) = engine.place(A, [buy("100000", "1", Tif.IOC)], NOW + 15 * DAY_MS).events.fills
    assert later.fee == D(45)


@pytest.mark.parametrize(
    ("volume", "taker"),
    [("0", "0.00045"), ("5000000", "0.00045"), ("5000001", "0.0004"), ("26000000", "0.00035"), ("9e9", "0.00024")],
)
def test_tiers_of_the_reference(volume: str, taker: str) -> None:
    assert rates_for_volume(D(volume)).taker == D(taker)


def test_account_figures_by_hand() -> None:
    engine = venue(money="10000")
    engine.update_leverage(A, "BTC", 10)
    hold(engine, A, "0.5")
    engine.set_mark("BTC", D(104_000), NOW)
    account = engine.account(A, NOW)
    # equity 10 000 + 0.5 x 4 000; initial 52 000/10; maintenance 52 000/80; withdrawable 12 000 - 5 200
    assert account.account_value == D(12_000)
    assert account.maintenance_margin == D(650)
    assert account.withdrawable == D(6_800)
    (position,) = account.positions
    assert (position.margin_used, position.leverage, position.max_leverage) == (D(5_200), 10, 40)
    assert position.unrealised_pnl == D(2_000)
    # 104 000 - (12 000 - 650)/0.5/(1 - 1/80)
    assert position.liquidation_px == pytest.approx(D(104_000) - D(22_700) * 80 / 79)


def test_at_the_liquidation_price_equity_equals_maintenance() -> None:
    for size in ("0.5", "-0.5"):
        engine = venue(money="10000")
        hold(engine, A, size)
        position = engine.position(A, "BTC")
        assert position is not None
        assert position.liquidation_px is not None
        value = 10_000 + D(size) * (position.liquidation_px - 100_000)
        assert value == pytest.approx(D("0.5") * position.liquidation_px / 80)


def test_leverage_is_limited_and_checked() -> None:
    engine = venue(money="10000")
    with pytest.raises(ValueError, match="allowed is 1 to 40"):
        engine.update_leverage(A, "BTC", 41)
    hold(engine, A, "1")
    with pytest.raises(ValueError, match="covers"):
        engine.update_leverage(A, "BTC", 1)
    assert engine.leverage(A, "BTC") == 20
    assert engine.leverage(A, "DOGE") == 10


def test_funding_is_paid_by_longs_and_received_by_shorts_at_the_oracle_price() -> None:
    engine = venue()
    hold(engine, A, "2")
    hold(engine, B, "-1")
    engine.set_mark("BTC", D(100_000), NOW, oracle_px=D(99_000))
    payments = {p.user: p.usdc for p in engine.apply_funding("BTC", 0.0001, NOW + HOUR_MS).funding}
    assert payments == {A: D("-19.8"), B: D("9.9")}
    position = engine.position(A, "BTC")
    assert position is not None
    assert position.funding_since_open == D("-19.8")
    with pytest.raises(ValueError, match="rate_hourly"):
        engine.apply_funding("BTC", float("nan"), NOW)


def test_below_maintenance_orders_are_cancelled_and_the_position_goes_to_the_book() -> None:
    engine = venue(bids=levels(("98000", "5")), money="6000")
    hold(engine, A, "2")  # maintenance at 98 000: 2 450
    resting = answer(engine, A, sell("101000", "1", reduce_only=True))
    assert engine.set_mark("BTC", D(98_300), NOW).liquidations == ()  # equity 2 600, maintenance 2 457.50
    events = engine.set_mark("BTC", D(98_200), NOW)  # equity 2 400, maintenance 2 455
    (liquidation,) = events.liquidations
    assert (liquidation.user, liquidation.method) == (A, "market")
    (fill,) = events.fills
    assert (fill.is_liquidation, fill.dir, fill.px) == (True, "Liquidated Cross Long", D(98_000))
    assert size_of(engine, A) == 0
    over = engine.order(A, resting.oid or 0)
    assert over is not None
    assert over.status is OrderStatus.LIQUIDATED_CANCELED


def test_far_below_maintenance_the_backstop_takes_over_without_a_trade() -> None:
    engine = venue(bids=levels(("90000", "5")), money="6000")
    hold(engine, A, "2")
    events = engine.set_mark("BTC", D(96_000), NOW)  # equity -2 000
    assert (events.trades, events.fills) == ((), ())
    assert [event.method for event in events.liquidations] == ["backstop"]
    assert engine.equity(A) == 0
    assert size_of(engine, BACKSTOP_USER) == 2
    assert engine.equity(BACKSTOP_USER) == -2_000


def test_stops_fire_before_liquidation() -> None:
    engine = venue(bids=levels(("98000", "5")), money="6000")
    hold(engine, A, "2")
    answer(engine, A, stop(False, "98200", "2"))
    events = engine.set_mark("BTC", D(98_200), NOW)
    assert events.liquidations == ()
    assert size_of(engine, A) == 0


def test_a_restored_position_is_held_against_external_liquidity() -> None:
    engine = venue()
    hold(engine, A, "2", "90000")
    assert engine.equity(A) == D(1_020_000)
    assert size_of(engine, EXTERNAL_USER) == -2
    with pytest.raises(ValueError, match="flat"):
        hold(engine, A, "1")


def test_bad_marks_and_deposits_are_errors() -> None:
    engine = liquid()
    for px in ("0", "NaN", "-1", "Infinity"):
        with pytest.raises(ValueError, match="mark_px"):
            engine.set_mark("BTC", D(px), NOW)
    with pytest.raises(ValueError, match="usdc"):
        engine.deposit(A, D("NaN"))
