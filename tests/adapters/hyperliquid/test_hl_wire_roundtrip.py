"""What the encoders write, the readers read back unchanged."""

from dataclasses import replace
from decimal import Decimal

import orjson
from hl_strategies import (
    accounts,
    assets,
    bars,
    books,
    contexts,
    fills,
    funding_rates,
    portfolios,
    quick,
    trades,
    twap_slices,
)
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid import encode, encode_account, wire, wire_account, wire_ledger, wire_market
from sigmapilot_core.adapters.hyperliquid.messages import (
    AckMessage,
    BboMessage,
    BookMessage,
    CandleMessage,
    ContextMessage,
    ErrorMessage,
    HelloMessage,
    MidsMessage,
    PongMessage,
    TradesMessage,
    UserFillsMessage,
    UserRole,
)
from sigmapilot_core.domain.events import fills_of_trade
from sigmapilot_core.domain.venue import CashFlow, FundingPayment, SubAccount

NOW = 4_000_000_000_000


def through(value: object) -> object:
    return orjson.loads(orjson.dumps(value))


def read(frame: object) -> object:
    return wire.parse_frame(orjson.dumps(frame), NOW)


@quick
@given(st.lists(trades, max_size=5))
def test_trades_survive_the_wire(values):
    assert read(encode.trades_frame(values)) == TradesMessage(tuple(values), 0)


@quick
@given(books(20))
def test_a_book_survives_the_wire(value):
    assert read(encode.book_frame(value)) == BookMessage(value)


@quick
@given(books(1))
def test_a_best_bid_and_offer_survive_the_wire(value):
    assert read(encode.bbo_frame(value)) == BboMessage(value)


@quick
@given(bars())
def test_a_candle_survives_the_wire(value):
    assert read(encode.candle_frame(value)) == CandleMessage((value,))


@quick
@given(st.lists(bars(), max_size=3))
def test_a_candle_snapshot_survives_the_wire(values):
    assert wire_market.parse_candles(through([encode.candle(b) for b in values])) == tuple(values)


@quick
@given(contexts)
def test_a_context_survives_the_wire(value):
    assert read(encode.context_frame(value)) == ContextMessage(value)


@quick
@given(st.lists(st.tuples(assets, contexts), max_size=4))
def test_the_market_survives_the_wire(pairs):
    specs = [spec for spec, _ in pairs]
    figures = [replace(context, coin=spec.coin) for spec, context in pairs]
    market = wire_market.parse_market(through(encode.meta_and_contexts(specs, figures)), NOW)
    assert (market.assets, market.contexts, market.rejected) == (tuple(specs), tuple(figures), ())


@quick
@given(st.lists(fills, max_size=4), st.booleans())
def test_fills_of_a_user_survive_the_wire(values, is_snapshot):
    user = "0x" + "ab" * 20
    expected = tuple(replace(f, known_since_ms=NOW) for f in values)
    assert read(encode.user_fills_frame(user, values, is_snapshot)) == UserFillsMessage(user, expected, is_snapshot)


@quick
@given(st.lists(twap_slices(), max_size=3))
def test_twap_slices_survive_the_wire(values):
    page = wire_account.parse_twap_slices(through([encode_account.twap_slice(v) for v in values]), "0x" + "ab" * 20)
    assert page.slices == tuple(values)


@quick
@given(accounts)
def test_an_account_survives_the_wire(value):
    assert wire_account.parse_account(through(encode_account.account(value)), value.user) == value


@quick
@given(st.lists(funding_rates, max_size=3))
def test_funding_rates_survive_the_wire(values):
    assert wire_market.parse_funding_history(through([encode.funding_rate(v) for v in values])) == tuple(values)


@quick
@given(st.lists(portfolios, max_size=2))
def test_a_portfolio_survives_the_wire(values):
    assert wire_account.parse_portfolio(through(encode_account.portfolio(values))) == tuple(values)


@quick
@given(st.dictionaries(st.sampled_from(["BTC", "ETH"]), trades.map(lambda t: t.px)))
def test_mids_survive_the_wire(values):
    assert read(encode.mids_frame(values)) == MidsMessage(values, 0)


@quick
@given(accounts)
def test_sub_accounts_survive_the_wire_with_their_states(state):
    sub = SubAccount("grid", state.user, "0x" + "11" * 20)
    (read_back,) = wire_account.parse_sub_accounts(through([encode_account.sub_account(sub, state)]))
    assert (read_back.account, read_back.state) == (sub, state)


@quick
@given(trades)
def test_both_halves_of_a_trade_survive_as_fills(trade):
    for half in fills_of_trade(trade):
        page = wire_account.parse_fills([through(encode_account.fill(half))], half.user)
        assert page.fills == (half,)


def test_cash_flows_and_funding_payments_survive_the_wire():
    user = "0x" + "22" * 20
    flows = (CashFlow(user, 5, Decimal("12.5"), "deposit"), CashFlow(user, 6, Decimal("-3"), "withdraw"))
    page = wire_ledger.parse_cash_flows(through([encode_account.cash_flow(f) for f in flows]), user)
    assert (page.flows, page.rows, page.last_ms) == (flows, 2, 6)
    payment = FundingPayment(user, "BTC", 7, Decimal("-0.179006"), Decimal("0.22273"), 0.0000125)
    paid = wire_ledger.parse_funding_payments(through([encode_account.funding_payment(payment)]), user)
    assert (paid.payments, paid.rows, paid.last_ms) == ((payment,), 1, 7)


def test_roles_fees_and_status_survive_the_wire():
    master = "0x" + "33" * 20
    for role, owner in (("user", None), ("subAccount", master), ("agent", master), ("missing", None)):
        assert wire_account.parse_role(through(encode_account.user_role(role, owner))) == UserRole(role, owner)
    fees = wire_account.parse_fees(through(encode_account.user_fees(0.00045, -0.00001)))
    assert (fees.taker, fees.maker) == (0.00045, -0.00001)
    assert wire_account.parse_status(encode.exchange_status(9)).time_ms == 9


def test_hello_pong_and_the_echo_of_errors_are_understood():
    assert wire.parse_frame(encode.HELLO, NOW) == HelloMessage()
    assert read(encode.pong_frame()) == PongMessage()
    key = wire.subscription_key({"type": "trades", "coin": "BTC"})
    texts = (
        'Already subscribed: {"type":"trades","coin":"BTC"}',
        'Invalid subscription {"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}',
    )
    for text in texts:
        assert read(encode.error_frame(text)) == ErrorMessage(text, key)
    limit = "Cannot track more than 15 total users."
    assert read(encode.error_frame(limit)) == ErrorMessage(limit, None)


def test_a_normalised_echo_matches_the_subscription_that_was_sent():
    wanted = {"type": "l2Book", "coin": "BTC"}
    echo = read(encode.ack_frame("subscribe", wanted))
    assert echo == AckMessage("subscribe", wire.subscription_key(wanted))
    user = {"type": "userFills", "user": "0x" + "AB" * 20}
    reordered = {"user": "0x" + "ab" * 20, "aggregateByTime": False, "type": "userFills"}
    assert wire.subscription_key(user) == wire.subscription_key(reordered)
