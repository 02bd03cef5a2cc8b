"""Recorded feeds give trades with both parties, and fills by user, at virtual receive times."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from sigmapilot_core.adapters.hyperliquid.coins import is_followed
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.messages import BboMessage, BookMessage, TradesMessage
from sigmapilot_core.adapters.hyperliquid.recording import (
    fills_by_user,
    read_block,
    read_blocks,
    read_raw_frames,
)
from sigmapilot_core.adapters.hyperliquid.wire import parse_frame

DATA = Path(__file__).parents[4] / "shared/data"
NODE = DATA / "hl-node-fills-20251027/sample_data.json"
LIVE = DATA / "hl-leader-fills-202607"
BUYER, SELLER = "0x" + "11" * 20, "0x" + "22" * 20


def half(user: str, side: str, crossed: bool) -> list:
    return [
        user,
        {
            "coin": "ETH",
            "px": "4215.9",
            "sz": "0.3565",
            "side": side,
            "time": 1761584399797,
            "startPosition": "0.0",
            "dir": "Open Long",
            "closedPnl": "0.0",
            "hash": "0xa2",
            "oid": 1,
            "crossed": crossed,
            "fee": "0.1",
            "tid": 517184473251884,
            "feeToken": "USDC",
            "twapId": None,
        },
    ]


def line_of(events: list) -> bytes:
    block = {
        "local_time": "2025-10-27T17:00:00.063787823",
        "block_time": "2025-10-27T16:59:59.797563798",
        "block_number": 777010829,
        "events": events,
    }
    return orjson.dumps(block)


def test_two_halves_are_one_trade_and_the_one_that_crossed_is_the_aggressor():
    block = read_block(line_of([half(SELLER, "A", True), half(BUYER, "B", False)]))
    (trade,) = block.trades
    assert (trade.buyer, trade.seller, trade.aggressor_is_buyer) == (BUYER, SELLER, False)
    assert (block.time_ms, block.received_ms) == (1761584399797, 1761584399997)
    assert {f.known_since_ms for f in block.fills} == {1761584399997}


def test_the_recorded_delay_can_be_used_instead():
    assert read_block(line_of([]), delay_ms=None).received_ms == 1761584400063


@pytest.mark.parametrize(
    "events", [[half(BUYER, "B", True)], [half(BUYER, "B", True)] * 2, [half(BUYER, "B", True)] * 3]
)
def test_a_half_without_its_other_half_is_a_fault(events):
    with pytest.raises(BadMessage, match="one buy and one sell"):
        read_block(line_of(events))


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"block_time":"yesterday"}', line_of([["0x1", {}]])])
def test_a_line_that_is_not_a_block_is_a_fault(line):
    with pytest.raises(BadMessage):
        read_block(line)


def test_raw_frames_keep_their_receive_time(tmp_path):
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b'{"received_wall_ns":1784684123644026200,"channel":"pong","data":null}\n')
    (frame,) = read_raw_frames(path)
    assert (frame.received_ms, frame.raw) == (1784684123644, b'{"channel":"pong","data":null}')
    path.write_bytes(b"{\n")
    with pytest.raises(BadMessage):
        list(read_raw_frames(path))


@pytest.mark.realdata
@pytest.mark.parametrize("delay_ms", [200, None])
def test_the_recorded_81_seconds_hold_exactly_their_trades_fills_and_users(delay_ms):
    if not NODE.exists():
        pytest.skip("the recorded fills are absent")
    blocks = list(read_blocks(NODE, delay_ms))
    users = fills_by_user(blocks)
    assert len(blocks) == 1000
    assert sum(len(b.trades) for b in blocks) == 3_641  # its SOURCE.txt
    assert sum(len(b.fills) for b in blocks) == sum(map(len, users.values())) == 7_282
    assert len(users) == 899
    assert len({t.key for b in blocks for t in b.trades}) == 3_641
    assert sum(f.is_liquidation for b in blocks for f in b.fills) == 1  # one account liquidated, its partner not


@pytest.mark.realdata
def test_the_recorded_frames_all_read():
    if not LIVE.exists():
        pytest.skip("the recorded frames are absent")
    frames = [f for name in ("live_bbo_90s", "live_books_5m") for f in read_raw_frames(LIVE / f"{name}.jsonl")]
    messages = [parse_frame(f.raw, f.received_ms) for f in frames]
    assert len(messages) == 1786 + 1216  # its SOURCE.txt
    assert Counter(type(m) for m in messages) == {TradesMessage: 1139, BboMessage: 1493, BookMessage: 370}
    trades = [t for m in messages if isinstance(m, TradesMessage) for t in m.trades]
    assert len(trades) == 2298  # its SOURCE.txt
    assert {t.coin for t in trades if is_followed(t.coin)} == {"BTC", "CASHCAT"}
