"""Fills, positions, equity, funding, leaderboard, portfolios and candles come from one ledger and agree to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from sim_worlds import EPOCH_MS

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.execution.rounding import is_legal_price, is_legal_size
from sigmapilot_core.domain.market.bars import aggregate, check_series
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.probe import all_fills
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.ports import VenueSource

CENT = 0.01
CHOSEN = ("skilled", "copy", "unskilled", "whale", "doomed", "sub", "hft")


def one_of(kind: str, source: WorldSource, truth: Truth) -> list[str]:
    """The first three accounts of a kind."""
    return [user for user in source.users() if truth.kind(user) == kind][:3]


@pytest.fixture(scope="module")
def chosen(source: WorldSource, truth: Truth) -> dict[str, list[Fill]]:
    """All fills of a few accounts of each kind."""
    return {user: all_fills(source, user) for kind in CHOSEN for user in one_of(kind, source, truth)}


def test_the_source_is_a_venue(source: WorldSource) -> None:
    venue: VenueSource = source  # the type checker proves the interface
    assert venue.now_ms == EPOCH_MS


def test_fills_chain_without_gaps_and_realise_what_the_ledger_rule_says(
    chosen: dict[str, list[Fill]], source: WorldSource
) -> None:
    decimals = {asset.coin: asset.sz_decimals for asset in source.assets}
    for user, fills in chosen.items():
        states: dict[str, ledger.LedgerState] = {}
        for fill in fills:
            before = states.get(fill.coin) or ledger.flat(user, fill.coin)
            assert fill.start_position == before.position, fill
            states[fill.coin], change = ledger.step(before, fill, decimals[fill.coin])
            assert fill.closed_pnl is not None
            assert change.realised is not None
            assert abs(fill.closed_pnl - change.realised) <= Decimal("2e-6")
        held = {position.coin: position for position in source.account(user).positions}
        for coin, state in states.items():
            assert state.position == (held[coin].size if coin in held else 0)
            if coin in held and state.avg_entry is not None:
                assert abs(float(held[coin].entry_px / state.avg_entry) - 1) < 1e-9


def test_equity_is_deposits_and_pnl_less_fees_plus_funding(chosen: dict[str, list[Fill]], source: WorldSource) -> None:
    for user, fills in chosen.items():
        account = source.account(user)
        parts = (
            sum(flow.usdc for flow in source.cash_flows(user, 0, source.now_ms)),
            sum(fill.closed_pnl or 0 for fill in fills),
            -sum(fill.fee or 0 for fill in fills),
            sum(payment.usdc for payment in source.funding_payments(user, 0, source.now_ms)),
            sum(position.unrealised_pnl for position in account.positions),
        )
        assert sum(parts) == account.account_value


def test_trades_sum_to_zero_and_name_two_accounts(world: World) -> None:
    rows = world.tape.rows()
    assert (world.accounts.now.position.sum(axis=0) == 0).all()
    assert (rows["buyer"] != rows["seller"]).all()
    assert (np.diff(rows["t"]) >= 0).all()
    assert (rows["sz"] > 0).all()


def test_money_only_moves_between_accounts_and_into_fees(world: World) -> None:
    rows = world.tape.rows()
    notional = rows["px"] * rows["sz"]
    fees = world.accounts.fee(rows["buyer"], rows["is_buyer_taker"], notional).sum()
    fees += world.accounts.fee(rows["seller"], ~rows["is_buyer_taker"], notional).sum()
    held = world.accounts.now.cash.sum() - world.accounts.now.net_flow.sum()
    hours, accounts = len(world.accounts.funding_times), len(world.population)
    # each hourly payment is rounded to a micro-USD per position; the sum over all accounts is 0 up to that
    assert abs(int(held + fees)) <= hours * accounts * len(world.settings.coins)


def test_identities_of_trades_are_unique(world: World) -> None:
    trades = world.tape.trades(np.arange(len(world.tape) - 50_000, len(world.tape)))
    assert len({trade.key for trade in trades}) == len(trades)
    assert all(0 < trade.tid < 2**50 for trade in trades)


def test_prices_and_sizes_are_legal(world: World, source: WorldSource) -> None:
    decimals = {asset.coin: asset.sz_decimals for asset in source.assets}
    for trade in world.tape.trades(np.arange(0, len(world.tape), 97)):
        assert is_legal_price(trade.px, decimals[trade.coin]), trade
        assert is_legal_size(trade.sz, decimals[trade.coin]), trade
    for coin in decimals:
        context, book = source.context(coin), source.book(coin)
        assert is_legal_price(context.mark_px, decimals[coin])
        assert is_legal_price(context.oracle_px, decimals[coin])
        assert book is not None
        for levels in (book.bids, book.asks):
            assert len(levels) == 20
            assert all(is_legal_price(lv.px, decimals[coin]) and is_legal_size(lv.sz, decimals[coin]) for lv in levels)
        assert [lv.px for lv in book.bids] == sorted({lv.px for lv in book.bids}, reverse=True)
        assert [lv.px for lv in book.asks] == sorted({lv.px for lv in book.asks})
        assert book.bids[0].px < context.mark_px < book.asks[0].px


def test_leaderboard_now_is_the_accounts(source: WorldSource, truth: Truth) -> None:
    rows = {row.address: row for row in source.leaderboard()}
    for user in list(rows)[::15]:
        members = [user, *(sub.user for sub in source.sub_accounts(user))]
        value = sum(float(source.account(member).account_value) for member in members)
        assert abs(rows[user].account_value_usd - value) < CENT, truth.kind(user)


def test_leaderboard_windows_are_the_portfolio_and_the_fills(
    source: WorldSource, chosen: dict[str, list[Fill]]
) -> None:
    rows = {row.address: row for row in source.leaderboard()}
    lengths = {"day": DAY_MS, "week": 7 * DAY_MS, "month": 30 * DAY_MS, "allTime": 10_000 * DAY_MS}
    for user in set(chosen) & set(rows):
        for history in source.portfolio(user):
            window = rows[user].windows[history.period]
            since_ms = source.now_ms - lengths[history.period]
            volume = sum(fill.notional for fill in chosen[user] if fill.time_ms > since_ms)
            assert history.pnl[0][1] == 0
            assert window.pnl_usd == pytest.approx(history.pnl[-1][1], abs=CENT)
            assert window.volume_usd == pytest.approx(history.volume_usd, abs=CENT)
            assert window.volume_usd == pytest.approx(float(volume), abs=CENT)
            assert rows[user].account_value_usd == pytest.approx(history.account_value[-1][1], abs=CENT)


def test_roi_is_pnl_over_start_value_and_largest_net_deposit(
    source: WorldSource, chosen: dict[str, list[Fill]]
) -> None:
    rows = {row.address: row for row in source.leaderboard()}
    start_ms = source.now_ms - 30 * DAY_MS
    for user in set(chosen) & set(rows):
        month = next(history for history in source.portfolio(user) if history.period == "month")
        running = largest = 0.0
        for flow in source.cash_flows(user, start_ms + 1, source.now_ms):
            running += float(flow.usdc)
            largest = max(largest, running)
        expected = month.pnl[-1][1] / max(100.0, month.account_value[0][1] + largest)
        assert rows[user].windows["month"].roi == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_leaderboard_of_a_past_day_is_what_was_served_then(small_world: Callable[..., World]) -> None:
    source = WorldSource(small_world())
    instants = [EPOCH_MS + k * 7 * HOUR_MS // 2 for k in range(9)]  # 28 hours: over a midnight
    served = []
    for instant in instants:
        source.advance(instant)
        served.append(source.leaderboard())
    assert [source.leaderboard(instant) for instant in instants] == served


def test_leaderboard_outside_the_worlds_time_is_refused(source: WorldSource) -> None:
    for as_of_ms in (source.now_ms + 1, 0):
        with pytest.raises(ValueError, match="as_of_ms"):
            source.leaderboard(as_of_ms)


def test_candles_hold_every_trade_of_their_minute(world: World, source: WorldSource) -> None:
    bars = {
        (bar.coin, bar.open_ms): bar for coin in ("BTC", "SOL") for bar in source.candles(coin, MINUTE_MS, 0, EPOCH_MS)
    }
    for trade in world.tape.trades(np.arange(0, len(world.tape), 31)):
        bar = bars.get((trade.coin, trade.time_ms // MINUTE_MS * MINUTE_MS))
        if bar is not None:
            assert bar.low <= float(trade.px) <= bar.high


def test_live_volume_is_the_sum_of_the_trades(small_world: Callable[..., World]) -> None:
    source = WorldSource(small_world())
    trades = source.advance(EPOCH_MS + 30 * MINUTE_MS)
    sums: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for trade in trades:
        sums[trade.coin, trade.time_ms // MINUTE_MS * MINUTE_MS] += trade.sz
    for asset in source.assets:
        for bar in source.candles(asset.coin, MINUTE_MS, EPOCH_MS + MINUTE_MS, source.now_ms - MINUTE_MS):
            assert bar.volume == pytest.approx(float(sums[asset.coin, bar.open_ms]), rel=1e-12)


@pytest.mark.parametrize("interval_ms", [5 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS])
def test_longer_candles_are_the_one_minute_candles_put_together(source: WorldSource, interval_ms: int) -> None:
    minutes = check_series(source.candles("ETH", MINUTE_MS, EPOCH_MS - 5 * DAY_MS, EPOCH_MS))
    longer = check_series(source.candles("ETH", interval_ms, EPOCH_MS - 4 * DAY_MS, EPOCH_MS))
    expected = {bar.open_ms: bar for bar in aggregate(minutes, interval_ms, EPOCH_MS).bars}
    closed = [bar for bar in longer if bar.close_ms <= EPOCH_MS]
    assert len(closed) >= 3
    for bar in closed:
        other = expected[bar.open_ms]
        assert (bar.open, bar.high, bar.low, bar.close) == (other.open, other.high, other.low, other.close)
        assert bar.volume == pytest.approx(other.volume, rel=1e-9)


def test_candles_join_and_the_last_one_is_unfinished(source: WorldSource) -> None:
    bars = source.candles("BTC", MINUTE_MS, EPOCH_MS - DAY_MS, EPOCH_MS)
    assert all(a.close_ms == b.open_ms for a, b in pairwise(bars))
    assert bars[-1].open_ms == EPOCH_MS
    assert float(source.context("BTC").mark_px) == bars[-1].close


def test_funding_is_paid_hourly_on_what_is_held(source: WorldSource, chosen: dict[str, list[Fill]]) -> None:
    rates = {
        (rate.coin, rate.time_ms): rate.rate
        for asset in source.assets
        for rate in source.funding_history(asset.coin, 0, source.now_ms)
    }
    assert len(rates) == len(source.assets) * 60 * 24  # the epoch is ten minutes after a midnight
    paid = 0
    for user, fills in chosen.items():
        for payment in source.funding_payments(user, 0, source.now_ms)[::50]:
            held = sum(f.signed_size for f in fills if f.coin == payment.coin and f.time_ms <= payment.time_ms)
            assert payment.size == held
            assert payment.time_ms % HOUR_MS == 0
            assert payment.rate == rates[payment.coin, payment.time_ms]
            assert (payment.usdc <= 0) == (held * Decimal(payment.rate) >= 0)
            paid += 1
    assert paid > 50


def test_recent_trades_are_the_last_ones_on_the_tape(world: World, source: WorldSource) -> None:
    trades = world.tape.trades(np.arange(len(world.tape) - 20_000, len(world.tape)))
    for coin in ("BTC", "HYPE"):
        assert list(source.recent_trades(coin, 7)) == [trade for trade in trades if trade.coin == coin][-7:]
    assert source.recent_trades("BTC", 0) == []


def test_unknown_addresses_are_empty_and_unknown_coins_refused(source: WorldSource) -> None:
    nobody = "0x" + "0" * 40
    assert source.account(nobody).positions == ()
    assert source.account(nobody).account_value == 0
    assert source.fills(nobody, 0, source.now_ms) == []
    assert list(source.portfolio(nobody)) == []
    assert source.master_of(nobody) is None
    with pytest.raises(ValueError, match="coin"):
        source.context("XYZ")


def test_nobody_owes_the_exchange_money(world: World) -> None:
    for day in range(0, 61, 3):
        at_ms = world.settings.start_ms + day * DAY_MS
        assert (world.accounts.at(at_ms).equity(world.path.marks_at(at_ms)) >= 0).all()
