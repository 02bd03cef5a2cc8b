"""Every input reaches the partitions it concerns, and nothing is lost because it could not be read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from stream_harness import trade
from stream_inputs import book_frame

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.domain.engine.share import partition_of
from sigmapilot_stream.decode import ACCOUNT, LOST, PRIMED, RECONCILED, SNAPSHOT, TICK
from sigmapilot_stream.routing import partitions_of

COUNT = 8


def of(*coins: str) -> list[int]:
    return sorted({partition_of(coin, COUNT) for coin in coins})


@pytest.mark.parametrize(
    ("kind", "body", "coins"),
    [
        ("live", encode.trades_frame([trade(1, 0), trade(2, 0)]), ["BTC"]),
        ("history", encode.trades_frame([trade(1, 0, coin="ETH")]), ["ETH"]),
        ("live", encode.trades_frame([trade(1, 0, coin="ETH"), trade(2, 0, coin="SOL")]), ["ETH", "SOL"]),
        ("live", book_frame(5), ["BTC"]),
        ("live", {"channel": "candle", "data": {"s": "HYPE", "i": "1m", "t": 1, "T": 2}}, ["HYPE"]),
        ("live", {"channel": "activeAssetCtx", "data": {"coin": "kPEPE", "ctx": {}}}, ["kPEPE"]),
        ("gap", {"coin": "SOL", "from_ms": 1, "to_ms": 2}, ["SOL"]),
        (RECONCILED, {"coin": "SOL"}, ["SOL"]),
    ],
)
def test_what_is_about_coins_goes_to_their_partitions(kind: str, body: Any, coins: list[str]) -> None:
    assert list(partitions_of(kind, orjson.dumps(body), COUNT)) == of(*coins)


@pytest.mark.parametrize("kind", [TICK, SNAPSHOT, ACCOUNT, PRIMED, LOST, "link", "something new"])
def test_what_is_about_everything_or_about_accounts_goes_to_all(kind: str) -> None:
    assert list(partitions_of(kind, b'{"coin": "BTC"}', COUNT)) == list(range(COUNT))


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"null", b"[]", b"7", b'{"channel":"trades","data":[]}', b'{"channel":"trades","data":[7]}',
        b'{"channel":"trades","data":[{"coin":"BTC"},{"px":"1"}]}', b'{"channel":"trades","data":[{"coin":5}]}',
        b'{"channel":"userFills","data":{"user":"0x1","fills":[{"coin":"BTC"}]}}',
    ],
)  # fmt: skip
def test_what_names_no_coin_or_cannot_be_read_goes_to_all(payload: bytes) -> None:
    assert list(partitions_of("live", payload, COUNT)) == list(range(COUNT))
