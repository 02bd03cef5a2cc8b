"""Mutated frames through the whole way in, from bytes to decisions: no crash, everything counted, nothing invented, and
nothing decided on what cannot be trusted. `make fuzz` runs a million."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from frame_mutations import NASTY, Mutator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_harness import trade
from stream_inputs import book_frame

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.hyperliquid.intake import Intake
from sigmapilot_core.adapters.hyperliquid.messages import MalformedMessage
from sigmapilot_core.adapters.hyperliquid.recording import fills_by_user, read_blocks, read_raw_frames
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.engine.outputs import DecisionMade, FillStored
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.decode import ACCOUNT, PRIMED, RECONCILED, SNAPSHOT, TICK, primed_payload
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import POOL, T0, account, figures, snapshot, trader

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NODE = DATA / "hl-node-fills-20251027" / "sample_data.json"
RAW = DATA / "hl-leader-fills-202607"
STEP_MS = 20
COINS = ("BTC", "ETH")
USERS = (*POOL, *(trader(n) for n in range(50, 80)))


def composed() -> list[bytes]:
    """Frames of every channel, as the emulator would send them; their times are of the start."""
    rng, found = random.Random(5), []
    for n in range(1, 300):
        user, side = rng.choice(USERS), rng.choice(("buy", "sell"))
        made = [trade(10 * n + i, n, user, side, coin=rng.choice(COINS)) for i in range(rng.randrange(1, 4))]
        found.append(encode.trades_frame(made))
        fill = Fill(user, "BTC", side == "buy", made[0].px, made[0].sz, T0 + n, 10 * n, True, made[0].hash)
        found.append(encode.user_fills_frame(user, [fill], is_snapshot=n % 7 == 0))
    found += [book_frame(n) for n in range(20)]
    found += [encode.frame("activeAssetCtx", {"coin": "BTC", "ctx": {"markPx": "50000.0", "midPx": "50000.0"}})]
    found += [encode.error_frame("Cannot track more than 10 total users."), encode.pong_frame()]
    found += [encode.ack_frame("subscribe", {"type": "trades", "coin": "BTC"})]
    return [orjson.dumps(frame) for frame in found]


def recorded() -> list[bytes]:
    """Recorded frames, and recorded fills turned into frames; none where the recordings are absent."""
    found: list[bytes] = []
    if RAW.is_dir():
        for name in ("live_bbo_90s.jsonl", "live_books_5m.jsonl"):
            found += [frame.raw for frame in read_raw_frames(RAW / name)]
    if NODE.is_file():
        blocks = list(read_blocks(NODE))
        found += [orjson.dumps(encode.trades_frame(block.trades)) for block in blocks if block.trades]
        for user, fills in sorted(fills_by_user(blocks).items()):
            found.append(orjson.dumps(encode.user_fills_frame(user, fills[:20])))
    return [raw for raw in found if len(raw) < 20_000]


def rows_of(raw: bytes) -> list[dict[str, Any]] | None:
    """The trades or fills a frame tells, read without the product's reader; None for a frame of anything else."""
    try:
        frame = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    data = frame.get("data") if isinstance(frame, dict) else None
    if frame.get("channel") == "userFills" if isinstance(frame, dict) else False:
        rows = data.get("fills") if isinstance(data, dict) else None
        rows = (
            [r | {"users": [data.get("user")] * 2} for r in rows if isinstance(r, dict)]
            if isinstance(rows, list)
            else None
        )
    else:
        rows = data if isinstance(data, list) else None
    return None if rows is None else [row for row in rows if isinstance(row, dict)]


def tells(raw: bytes, fill: Fill) -> bool:
    """Whether a frame says that this fill happened, and nothing in it that no exchange can say."""
    return any(_is_same(row, fill) for row in rows_of(raw) or [])


def _is_same(row: dict[str, Any], fill: Fill) -> bool:
    try:
        px, sz = Decimal(str(row.get("px"))), Decimal(str(row.get("sz")))
    except InvalidOperation:
        return False
    users = row.get("users")
    is_party = isinstance(users, list) and fill.user in [str(user).lower() for user in users]
    said = (row.get("coin"), px, sz, row.get("time"), row.get("tid"))
    return is_party and said == (fill.coin, fill.px, fill.sz, fill.time_ms, fill.tid) and 0 < px < 10**15 and sz > 0


@dataclass
class Pipeline:
    """Feed intake and decision step over frames, with the laws checked at every frame."""

    now_ms: int = T0
    seq: int = 0
    intake: Intake = field(default_factory=lambda: Intake(TradeIntake(replay_margin_ms=0)))
    worker: Worker = field(default_factory=lambda: Worker("0", lambda: 0))
    seen: Counter[str] = field(default_factory=Counter)
    frames: dict[int, bytes] = field(default_factory=dict)
    effects: list[Effects] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.give(SNAPSHOT, to_json(snapshot(POOL, [figures(c) for c in COINS], sorted(USERS))).encode())
        for user in USERS:
            self.give(PRIMED, primed_payload(user, T0 - 1, ()))

    def give(self, kind: str, payload: bytes) -> Effects:
        """One input of the decision step."""
        record = InputRecord(self.seq, kind, self.now_ms, payload)
        self.seq += 1
        effects, heard = self.worker.handle([record])
        for output in heard:
            if isinstance(output, FillStored):
                self.seen["fills"] += 1
                told = self.frames.get(output.seq)
                assert told is not None, (output, kind, payload)
                assert tells(told, output.fill), (output.fill, told)
            elif isinstance(output, DecisionMade):
                self._decided(output)
        self.seen["dead"] += len(effects.dead)
        self.seen["gaps"] += len(effects.gaps)
        return effects

    def _decided(self, made: DecisionMade) -> None:
        self.seen[made.decision.decision_type.value] += 1
        if made.inputs.unknown_reason is not None:
            self.seen["refused as unknown"] += 1
            assert not made.decision.passed_gates, made
            assert made.decision.decision_type is not DecisionType.SIGNAL

    def frame(self, raw: bytes) -> list[Effects]:
        """One frame as it comes over the wire; what the feed hands on is journalled and decided on."""
        self.now_ms += STEP_MS
        before = sum(self.intake.counts.values())
        parsed, handed_on = self.intake.take("coins-0", raw, self.now_ms)
        assert sum(self.intake.counts.values()) > before
        if isinstance(parsed, MalformedMessage):
            self.seen["malformed"] += 1
        found = []
        for one in handed_on:
            self.frames[self.seq] = one.raw
            found.append(self.give(one.kind.value, one.raw))
            self.frames.pop(self.seq - 200, None)
        if isinstance(parsed, MalformedMessage) and parsed.coin in COINS:
            state = self.worker.engine.coins[parsed.coin]
            assert state.unknown_reason is not None, parsed
        return found

    def freshen(self) -> None:
        """What keeps decisions possible between bad frames: account, book, tick, and coins compared anew."""
        after = self.now_ms - T0
        self.give(ACCOUNT, canonical_json(account(self.now_ms)).encode())
        self.frame(orjson.dumps(book_frame(after)))
        link = {"name": "coins-0", "coins": list(COINS), "book_coins": ["BTC"], "last_frame_ms": self.now_ms}
        self.give(TICK, orjson.dumps({"connections": [link]}))
        for coin in COINS:
            self.give(RECONCILED, orjson.dumps({"coin": coin}))
        for user in POOL:
            if user in self.worker.engine.unprimed:
                self.give(PRIMED, primed_payload(user, self.now_ms, ()))


def good_frames(pipeline: Pipeline, number: int) -> Iterator[bytes]:
    """Three traders act at once: with fresh inputs a decision follows."""
    for i in range(3):
        user = POOL[(number + i) % len(POOL)]
        after = pipeline.now_ms - T0 + i
        yield orjson.dumps(
            encode.trades_frame([trade(10**9 + 10 * number + i, after, user, "buy" if number // 50 % 2 else "sell")])
        )


def moved(raw: bytes, by_ms: int) -> bytes:
    """The frame with its instants moved, so that it is of now."""
    frame = orjson.loads(raw)
    left = [frame]
    while left:
        node = left.pop()
        if isinstance(node, dict) and type(node.get("time")) is int:
            node["time"] = max(0, node["time"] + by_ms)
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return orjson.dumps(frame)


def fuzzed(frames: Sequence[bytes], count: int, seed: int, keep: bool = False) -> Pipeline:
    """So many mutated frames, with good ones and fresh inputs between them."""
    rng = random.Random(seed)
    pipeline, mutator = Pipeline(), Mutator(frames, rng)
    for number in range(count):
        if number % 50 == 0:
            pipeline.freshen()
            for raw in good_frames(pipeline, number):
                found = pipeline.frame(raw)
                pipeline.effects += found if keep else []
        raw = rng.choice(frames)
        if rng.random() < 0.5:
            raw = moved(raw, pipeline.now_ms - T0 if raw in _OF_THE_START else 0)
        found = pipeline.frame(mutator.mutated(raw))
        pipeline.effects += found if keep else []
    return pipeline


_OF_THE_START = frozenset(composed())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_mutated_frames_never_crash_invent_or_decide(request: pytest.FixtureRequest) -> None:
    count = request.config.getoption("--fuzz-frames")
    frames = [*composed(), *recorded()]
    pipeline = fuzzed(frames, count, seed=11)
    counts = pipeline.intake.counts
    print(f"\n{count:,} mutated frames: {dict(pipeline.seen)}; {dict(counts)}")  # noqa: T201 - the report of a long run
    assert counts["malformed"] == pipeline.seen["malformed"] > count / 5
    assert counts["unknown"] > 0 < counts["ignored"]
    assert counts["duplicates"] > 0 < counts["empty"]
    assert pipeline.seen["fills"] > count / 100  # the good ones between them were applied
    assert pipeline.seen["refused as unknown"] > 0
    assert pipeline.seen["signal"] > 0  # the coin is trusted again once it was compared
    assert pipeline.seen["dead"] == 0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_any_bytes_are_counted_and_never_crash(raw: bytes) -> None:
    PLAIN.frame(raw)


_JSON = st.recursive(
    st.sampled_from([n for n in NASTY if not isinstance(n, (list, dict)) and n not in (2**63,)])
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["coin", "px", "users", "x"]), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["trades", "userFills", "l2Book", "bbo", "candle", "activeAssetCtx", "allMids", "error"]), _JSON)
def test_any_data_on_a_known_channel_is_counted_and_never_crashes(channel: str, data: Any) -> None:
    PLAIN.frame(json.dumps({"channel": channel, "data": data}).encode("utf-8", "surrogatepass"))


PLAIN = Pipeline()


@pytest.mark.slow
def test_what_bad_frames_lead_to_can_be_stored(pg_url: str) -> None:
    frames = [raw for raw in composed() if b"l2Book" not in raw]
    pipeline = fuzzed(frames, 1_500, seed=3, keep=True)
    engine = create_engine(pg_url)
    for start in range(0, len(pipeline.effects), 50):
        with engine.begin() as connection:
            for effects in pipeline.effects[start : start + 50]:
                effects.commit(connection)
    with engine.connect() as connection:
        stored = connection.execute(sa.text("SELECT count(*) FROM fills")).scalar_one()
        assert min(stored, connection.execute(sa.text("SELECT count(*) FROM trades")).scalar_one()) > 0
    engine.dispose()


def test_a_frame_of_another_time_does_not_make_the_next_ones_late() -> None:
    pipeline = Pipeline()
    pipeline.freshen()
    far = [trade(1, 10**12, POOL[0]), trade(2, 10**13, POOL[0])]
    for one in far:
        pipeline.frame(orjson.dumps(encode.trades_frame([one])))
    assert pipeline.worker.engine.coins["BTC"].unknown_reason is not None
    pipeline.freshen()
    for raw in good_frames(pipeline, 1):
        pipeline.frame(raw)
    assert pipeline.seen["fills"] == 3
    assert pipeline.worker.engine.counters.late == 0
