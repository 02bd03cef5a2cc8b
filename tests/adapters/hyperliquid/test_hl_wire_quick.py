"""Claim: the quick reader says what the strict one says, or nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hl_strategies import books, json_values, quick, trades
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid.encode import book_frame, trades_frame
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.wire import parse_frame, strict_frame
from sigmapilot_core.adapters.hyperliquid.wire_quick import quick_frame

NOW = 4_000_000_000_000
TEXTS = st.sampled_from(
    ["1", "1.50", "0", "-1", "1e3", "NaN", "Infinity", "", " 1", "1_0", "٣", "0x" + "A" * 40, "@107", "xyz:TSLA", "#7"]
)


def check(payload: bytes) -> bool:
    """Whether the quick reader read the frame; if it did, the strict one reads the same."""
    found = quick_frame(payload, NOW)
    if found is not None:
        assert found == strict_frame(payload, NOW)
    return found is not None


@quick
@given(st.lists(trades, max_size=5))
def test_every_sound_frame_of_trades_is_read_quickly_and_alike(found: list[Any]) -> None:
    assert check(orjson.dumps(trades_frame(found)))


@quick
@given(books(depth=5))
def test_every_sound_book_is_read_quickly_and_alike(found: Any) -> None:
    assert check(orjson.dumps(book_frame(found)))


@quick
@given(st.lists(trades, min_size=1, max_size=3), st.data())
def test_a_frame_with_anything_else_in_it_is_read_alike_or_left(found: list[Any], data: st.DataObject) -> None:
    frame = trades_frame(found)
    row = data.draw(st.sampled_from(frame["data"]))
    row[data.draw(st.sampled_from([*row, "new"]))] = data.draw(TEXTS | json_values)
    check(orjson.dumps(frame))


@quick
@given(books(depth=3), st.data())
def test_a_book_with_anything_else_in_it_is_read_alike_or_left(found: Any, data: st.DataObject) -> None:
    frame = book_frame(found)
    book = frame["data"]
    levels = [level for side in book["levels"] for level in side]
    place = data.draw(st.sampled_from([book, *levels]))
    place[data.draw(st.sampled_from([*place, "new"]))] = data.draw(TEXTS | json_values)
    check(orjson.dumps(frame))


@quick
@given(st.lists(trades, min_size=1, max_size=2), st.data())
def test_a_frame_with_changed_bytes_is_read_alike_or_left(found: list[Any], data: st.DataObject) -> None:
    payload = bytearray(orjson.dumps(trades_frame(found)))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(payload))


@pytest.mark.parametrize(
    "rest", [b'"data":1}', b'"data":[],"data":[{}]}', b'"data":[]', b'"data":[]}}', b'"data":null}', b'"data":[null]}']
)
def test_what_is_broken_is_left_to_the_strict_reader(rest: bytes) -> None:
    payload = b'{"channel":"trades",' + rest
    assert not check(payload)
    with pytest.raises(BadMessage):
        parse_frame(payload, NOW)
