"""The decision step over journalled inputs: the same inputs give the same effects; bad ones are set aside by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from stream_harness import trade
from stream_inputs import begun, book_frame, story

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.domain.engine.outputs import GapKind
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.decode import LOST, PRIMED, RECONCILED, SNAPSHOT, primed_payload
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import POOL, T0, snapshot


def run(records: Sequence[InputRecord], size: int = 1_000) -> list[Effects]:
    """Effects of the inputs in batches of a size."""
    worker = Worker("0", lambda: T0)
    return [worker.handle(records[i : i + size])[0] for i in range(0, len(records), size)]


def one(records: Sequence[InputRecord]) -> Effects:
    (effects,) = run(records)
    return effects


def types(effects: Effects) -> list[str]:
    return [made.decision.decision_type.value for made in effects.decisions]


def test_the_same_inputs_give_the_same_effects() -> None:
    records = story().records
    assert one(records) == one(records)
    assert types(one(records)) == ["skip", "skip", "signal"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_how_inputs_are_batched_changes_nothing(size: int) -> None:
    records, whole = story(400_000).records, one(story(400_000).records)
    parts = run(records, size)
    for name in ("trades", "fills", "closed", "decisions", "outcomes", "gaps", "dead"):
        assert [item for part in parts for item in getattr(part, name)] == getattr(whole, name), name
    assert parts[-1].last_seq == whole.last_seq == len(records) - 1
    states: dict[tuple[str, str], Any] = {}
    for part in parts:
        states |= part.states
    assert states == whole.states


def test_votes_expire_at_their_own_deadline_however_late_the_next_input_comes() -> None:
    late, later = one(story(400_000).records), one(story(4_000_000).records)
    # the life of a vote is 150 s: two fewer voters at 151.001 s and 152.001 s, none to decide on at 153.001 s
    at = [made.decision.decided_at_ms - T0 for made in late.decisions]
    assert at == [1_050, 2_050, 3_050, 151_001, 152_001]
    assert later.decisions == late.decisions


def test_a_trade_that_is_sent_again_counts_once() -> None:
    inputs = begun()
    inputs.trades(1_000, trade(1, 900), trade(2, 900))
    inputs.trades(2_000, trade(2, 900), trade(3, 1_900))
    inputs.trades(3_000, trade(1, 900), trade(2, 900), trade(3, 1_900), kind="history")
    effects = one(inputs.records)
    assert [t.tid for t, _ in effects.trades] == [1, 2, 3]
    assert [applied.fill.tid for applied in effects.fills] == [1, 2, 3]


def test_trades_of_other_markets_are_kept_and_lead_to_nothing() -> None:
    inputs = begun()
    for n, coin in enumerate(("xyz:TSLA", "@107", "#77", "PURR/USDC", "NEWCOIN"), start=1):
        inputs.trades(1_000 * n, trade(n, 1_000 * n - 50, coin=coin))
    worker = Worker("0", lambda: T0)
    effects, _ = worker.handle(inputs.records)
    assert [t.coin for t, _ in effects.trades] == ["xyz:TSLA", "@107", "#77", "PURR/USDC", "NEWCOIN"]
    assert worker.engine.counters.unknown_coin == 5
    assert (effects.fills, effects.decisions, effects.gaps, effects.dead) == ([], [], [], [])
    assert set(worker.engine.coins) == {"BTC", "ETH"}


BAD_TRADES = [
    {"px": "NaN"}, {"px": "Infinity"}, {"px": "-1"}, {"px": "0"}, {"sz": "nan"}, {"sz": None}, {"time": -5},
    {"users": ["0x1"]}, {"side": "X"}, {"tid": "a"},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_TRADES, ids=[str(change) for change in BAD_TRADES])
def test_a_trade_that_cannot_be_trusted_makes_its_coin_unknown(bad: dict[str, Any]) -> None:
    inputs = story()
    position = len(inputs.records) - 5  # before the third trader buys
    row = encode.trade(trade(9, 2_500, POOL[3])) | bad
    payload = orjson.dumps(encode.frame("trades", [row]))
    inputs.records.insert(position, InputRecord(1_000, "live", T0 + 2_600, payload))
    effects = one(inputs.records)
    assert [(gap.kind, gap.coin) for gap in effects.gaps] == [(GapKind.FEED, "BTC")]
    assert 9 not in [t.tid for t, _ in effects.trades]
    assert types(effects) == ["skip", "skip", "skip"]
    fresh = effects.decisions[-1].decision.gate("inputs_fresh")
    assert fresh.passed is None
    assert "malformed frame" in fresh.detail


@pytest.mark.parametrize(
    "change",
    [
        {"levels": [[{"px": "NaN", "sz": "1", "n": 1}], []]},
        {"levels": [[{"px": "50000", "sz": "-1", "n": 1}], []]},
        {"levels": "none"},
        {"time": None},
    ],
)
def test_a_book_that_cannot_be_trusted_is_not_used(change: dict[str, Any]) -> None:
    inputs = story()
    body = orjson.dumps(book_frame(3_010, **change))
    inputs.records.insert(-2, InputRecord(1_000, "live", T0 + 3_010, body))
    effects = one(inputs.records)
    assert types(effects) == ["skip", "skip", "skip"]
    assert [gap.coin for gap in effects.gaps] == ["BTC"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"{}", b'{"channel":"trades","data":[]}', b'{"channel":"webData9","data":{"NaN":1}}',
     b'{"channel":"pong"}', b"Websocket connection established."],
)  # fmt: skip
def test_frames_that_say_nothing_change_nothing(payload: bytes) -> None:
    inputs = story()
    inputs.records.insert(-2, InputRecord(1_000, "live", T0 + 3_010, payload))
    effects = one(inputs.records)
    assert effects == one(story().records)


@pytest.mark.parametrize("payload", [b"{not json", b"\xff\xfe", b'"text"', b'{"data":1}'])
def test_garbage_without_a_coin_harms_no_coin(payload: bytes) -> None:
    inputs = story()
    inputs.records.insert(-2, InputRecord(1_000, "live", T0 + 3_010, payload))
    effects = one(inputs.records)
    assert effects.decisions == one(story().records).decisions
    assert effects.gaps == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("tick", b"{}"),
        ("primed", b'{"user":"0x1"}'),
        ("snapshot", b"{}"),
        ("account", b'{"account":5}'),
        ("gap", b"{}"),
        ("from the future", b"{}"),
    ],
)
def test_an_input_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(kind: str, payload: bytes) -> None:
    inputs = story()
    inputs.records.insert(-2, InputRecord(1_000, kind, T0 + 3_010, payload))
    effects = one(inputs.records)
    (dead,) = effects.dead
    assert (dead.seq, dead.kind, dead.payload, dead.coins) == (1_000, kind, payload, ())
    assert f"input 1000 of kind {kind!r}" in dead.error
    assert effects.decisions == one(story().records).decisions


def test_a_snapshot_of_another_mode_is_set_aside_and_the_old_one_stays() -> None:
    inputs = story()
    other = replace(snapshot(version=2), mode="live")
    inputs.records.insert(-2, InputRecord(1_000, SNAPSHOT, T0 + 3_010, to_json(other).encode()))
    effects = one(inputs.records)
    assert ["snapshot.mode is 'live', allowed is 'demo'" in dead.error for dead in effects.dead] == [True]
    assert {made.decision.snapshot_version for made in effects.decisions} == {1}


def test_a_coin_is_complete_again_once_it_was_compared() -> None:
    inputs = begun()
    inputs.add("gap", 1_000, {"coin": "BTC", "from_ms": T0, "to_ms": T0 + 900})
    inputs.add(LOST, 1_100, {"user": POOL[0], "from_ms": T0, "to_ms": T0 + 900, "detail": "down"})
    inputs.add(RECONCILED, 5_000, {"coin": "BTC"})
    effects = one(inputs.records)
    assert [gap.coin or gap.user for gap in effects.gaps] == ["BTC", POOL[0]]
    assert effects.complete_coins == {"BTC"}
    assert POOL[0] not in effects.complete_users
    inputs.add(PRIMED, 6_000, primed_payload(POOL[0], T0 + 6_000, ()))
    inputs.add("gap", 7_000, {"coin": "BTC", "from_ms": T0, "to_ms": T0 + 6_900})
    effects = one(inputs.records)
    assert effects.complete_coins == set()  # a later gap is open
    assert POOL[0] in effects.complete_users
