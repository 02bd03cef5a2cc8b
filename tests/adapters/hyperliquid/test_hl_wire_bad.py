"""What cannot be trusted is a typed fault that names field, value and what is allowed; never a crash."""

from decimal import Decimal

import orjson
import pytest
from hl_strategies import json_values, quick, trades
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid import encode, wire, wire_account, wire_ledger, wire_market
from sigmapilot_core.adapters.hyperliquid.coins import CoinKind, classify, is_followed
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text, real_text
from sigmapilot_core.adapters.hyperliquid.messages import EmptyMessage, TradesMessage, UnknownMessage

USER = "0x" + "ab" * 20
RECEIVED_MS = 4_000_000_000_000
CHANNELS = [
    "trades",
    "l2Book",
    "bbo",
    "candle",
    "activeAssetCtx",
    "allMids",
    "userFills",
    "subscriptionResponse",
    "error",
]
GOOD = {
    "coin": "HYPE",
    "side": "B",
    "px": "35.276",
    "sz": "5.78",
    "time": 1764835613064,
    "hash": "0x" + "0" * 64,
    "tid": 716095722814130,
    "users": ["0x8cdba352268065be9d5444e1f82b8fe83717bbd5", "0x13558be785661958932ceac35ba20de187275a42"],
}  # the recorded trade of spec section 3.4


def frame_of(**changed):
    row = {key: value for key, value in (GOOD | changed).items() if value is not ...}
    return orjson.dumps({"channel": "trades", "data": [row]})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("px", "NaN"),
        ("px", "-1"),
        ("px", "0"),
        ("px", "Infinity"),
        ("px", "1_000"),
        ("px", "٣"),
        ("px", None),
        ("px", ...),
        ("px", True),
        ("sz", "-0.1"),
        ("sz", ""),
        ("sz", []),
        ("time", "1764835613064"),
        ("time", -1),
        ("time", 1.5),
        ("tid", ...),
        ("tid", True),
        ("side", "buy"),
        ("users", ["0x1", "0x2"]),
        ("users", [USER]),
        ("users", None),
        ("hash", 5),
        ("hash", "0x\0"),
        ("hash", "0" * 1_001),
        ("px", "1e16"),
        ("sz", "1e-16"),
        ("time", RECEIVED_MS + 600_001),
        ("coin", None),
        ("coin", ""),
        ("coin", ...),
    ],
)
def test_a_trade_with_a_bad_field_names_it(field, value):
    with pytest.raises(BadMessage) as fault:
        wire.parse_frame(frame_of(**{field: value}), RECEIVED_MS)
    assert fault.value.field == f"trades.{field}"
    assert fault.value.allowed in str(fault.value)


def test_the_recorded_trade_reads_as_buyer_and_seller_with_the_buyer_as_aggressor():
    message = wire.parse_frame(frame_of(), RECEIVED_MS)
    assert isinstance(message, TradesMessage)
    (trade,) = message.trades
    assert (trade.buyer, trade.seller) == tuple(GOOD["users"])
    assert trade.aggressor_is_buyer
    assert str(trade.px) == "35.276"


@pytest.mark.parametrize(
    ("bids", "asks", "what"),
    [
        (["99", "99"], ["101"], "99, then 99"),
        (["98", "99"], ["101"], "98, then 99"),
        (["99"], ["101", "101"], "101, then 101"),
        (["99"], ["102", "101"], "102, then 101"),
    ],
)
def test_a_book_out_of_order_or_with_a_price_twice_is_bad(bids, asks, what):
    levels = [[{"px": px, "sz": "1", "n": 1} for px in side] for side in (bids, asks)]
    frame = orjson.dumps({"channel": "l2Book", "data": {"coin": "BTC", "time": 1, "levels": levels}})
    with pytest.raises(BadMessage, match=f"levels is .*{what}.*; allowed is best price first, each price once"):
        wire.parse_frame(frame, 1)


def test_unknown_keys_are_ignored():
    assert wire.parse_frame(frame_of(growthMode="enabled"), RECEIVED_MS) == wire.parse_frame(frame_of(), RECEIVED_MS)


@pytest.mark.parametrize("coin", ["@107", "PURR/USDC", "xyz:TSLA", "#123", "+123", "o123"])
def test_trades_of_other_markets_are_read(coin):
    message = wire.parse_frame(frame_of(coin=coin), RECEIVED_MS)
    assert isinstance(message, TradesMessage)
    assert ([t.coin for t in message.trades], message.ignored) == ([coin], 0)


def test_a_trade_whose_coin_has_a_name_of_no_known_grammar_is_ignored_and_counted():
    assert wire.parse_frame(frame_of(coin="a~new~grammar"), RECEIVED_MS) == TradesMessage((), 1)


@pytest.mark.parametrize(
    ("coin", "kind"),
    [
        ("BTC", CoinKind.PERP),
        ("kPEPE", CoinKind.PERP),
        ("1000X", CoinKind.PERP),
        ("@107", CoinKind.SPOT),
        ("PURR/USDC", CoinKind.SPOT),
        ("xyz:TSLA", CoinKind.HIP3),
        ("#77", CoinKind.OUTCOME),
        ("+77", CoinKind.OUTCOME),
        ("o77", CoinKind.OUTCOME),
    ],
)
def test_coin_names_tell_their_market(coin, kind):
    assert classify(coin) is kind
    assert is_followed(coin) is (kind is CoinKind.PERP)


@pytest.mark.parametrize("coin", ["", None, 5, "B T C", "../etc", "BTC\n", "@", "x:y:z", "BTC';--"])
def test_names_outside_the_grammar_have_no_market(coin):
    with pytest.raises(BadMessage):
        classify(coin)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"null", b" [] \n"])
def test_a_frame_without_content_is_empty(raw):
    assert wire.parse_frame(raw, RECEIVED_MS) == EmptyMessage()


@pytest.mark.parametrize("raw", [b"{", b'"text"', b"5", b"[1]", b'{"channel":5}', b"\xff\xfe", b'{"channel":"trades"}'])
def test_a_frame_that_is_not_a_message_is_bad(raw):
    with pytest.raises(BadMessage):
        wire.parse_frame(raw, RECEIVED_MS)


def test_a_channel_we_do_not_use_is_unknown_not_wrong():
    assert wire.parse_frame(b'{"channel":"webData3","data":{"x":1}}', RECEIVED_MS) == UnknownMessage("webData3")


@quick
@given(st.binary(max_size=80) | st.text(max_size=80))
def test_no_text_makes_the_reader_crash(raw):
    try_frame(raw)


@quick
@given(st.sampled_from([*CHANNELS, "pong", "other"]), json_values)
def test_no_json_makes_the_reader_crash(channel, data):
    try_frame(orjson.dumps({"channel": channel, "data": data}))


@quick
@given(st.data())
def test_no_broken_trade_makes_the_reader_crash(data):
    row = encode.trade(data.draw(trades))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(json_values)
    try_frame(orjson.dumps({"channel": "trades", "data": [row]}))


def try_frame(raw):
    try:
        wire.parse_frame(raw, RECEIVED_MS)
    except BadMessage as fault:
        text = str(fault)
    else:
        text = ""
    assert len(text) < 1000


READERS = [
    lambda raw: wire_market.parse_market(raw, 1),
    wire_market.parse_meta,
    wire_market.parse_funding_history,
    wire_account.parse_sub_accounts,
    wire_account.parse_role,
    wire_account.parse_fees,
    wire_account.parse_portfolio,
    wire_account.parse_status,
    lambda raw: wire_account.parse_account(raw, USER),
    lambda raw: wire_account.parse_fills(raw, USER),
    lambda raw: wire_account.parse_twap_slices(raw, USER),
    lambda raw: wire_ledger.parse_funding_payments(raw, USER),
    lambda raw: wire_ledger.parse_cash_flows(raw, USER),
]


@quick
@given(st.sampled_from(READERS), json_values)
def test_no_json_makes_a_reader_of_replies_crash(reader, raw):
    try:
        reader(raw)
    except BadMessage as fault:
        field = fault.field
    else:
        field = "none"
    assert field


def test_one_asset_with_bad_figures_does_not_hide_the_others():
    universe = [{"name": c, "szDecimals": 2, "maxLeverage": 10} for c in ("BTC", "ETH")]
    good = {
        "funding": "0.0000125",
        "openInterest": "1.0",
        "prevDayPx": "1.0",
        "dayNtlVlm": "0.0",
        "premium": None,
        "oraclePx": "2.0",
        "markPx": "2.0",
        "midPx": None,
        "impactPxs": None,
    }
    market = wire_market.parse_market([{"universe": universe}, [good | {"markPx": None}, good]], 1)
    assert [c.coin for c in market.contexts] == ["ETH"]
    assert market.rejected[0][0] == "BTC"
    assert "markPx" in market.rejected[0][1]


def test_a_fee_in_another_token_is_unknown_and_a_blank_before_usdc_is_not():
    row = {k: v for k, v in GOOD.items() if k != "users"} | {"crossed": True, "fee": "0.1"}
    fees = [wire_account.parse_fill(row | {"feeToken": t}, USER).fee for t in ("USDC", " USDC", "HYPE")]
    assert [None if f is None else str(f) for f in fees] == ["0.1", "0.1", None]


def test_a_liquidation_belongs_to_the_liquidated_account_only():
    note = {"liquidation": {"liquidatedUser": USER.upper().replace("0X", "0x"), "markPx": "1", "method": "market"}}
    row = {k: v for k, v in GOOD.items() if k != "users"} | {"crossed": True} | note
    assert wire_account.parse_fill(row, USER).is_liquidation
    assert not wire_account.parse_fill(row, "0x" + "cd" * 20).is_liquidation


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.0"), ("-0.00", "0.0"), ("66375", "66375.0"), ("0.1500", "0.15"), ("1E-8", "0.00000001")],
)
def test_numbers_are_written_plainly(value, text):
    assert decimal_text(Decimal(value)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_written(value):
    with pytest.raises(ValueError, match="finite"):
        real_text(value)
