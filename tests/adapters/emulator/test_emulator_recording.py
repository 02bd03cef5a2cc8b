"""A recording is played with the feed as the clock; positions and fills are those of the file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from emulator_harness import ALICE, BOB, CAROL, Client, HandClock, Socket, StillClock

from sigmapilot_core.adapters.emulator.composition import Options, RecordingPlan, build_source
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.recording_source import RecordingSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.hyperliquid.recording import Block, read_blocks
from sigmapilot_core.domain.venue import LeaderboardRow

SHARED = Path(__file__).parents[4] / "shared" / "data"
FIRST_MS = 1_761_584_400_000  # 2025-10-27 17:00:00 UTC
DELAY_MS = 200


def half(user: str, side: str, tid: int, time_ms: int, start: str, pnl: str = "0.0", **more: Any) -> list[Any]:
    """One party's half of a trade of 2 BTC at 100 as the recording has it."""
    fill = {"coin": "BTC", "px": "100.0", "sz": "2.0", "side": side, "time": time_ms, "startPosition": start}
    fill |= {"dir": "Open Long", "closedPnl": pnl, "hash": "0xab", "oid": tid, "crossed": side == "B", "fee": "0.01"}
    return [user, fill | {"tid": tid, "feeToken": "USDC", "twapId": None} | more]


def block(number: int, second: int, *events: list[Any]) -> str:
    """One line of the file."""
    instant = f"2025-10-27T17:00:{second:02d}.000000000"
    return json.dumps({"local_time": instant, "block_time": instant, "block_number": number, "events": list(events)})


@pytest.fixture
def source(tmp_path: Path) -> RecordingSource:
    """Alice buys 2, then 2 more in a time-weighted order, from Bob; Carol trades spot only."""
    second = FIRST_MS + 3_000
    later, spot = FIRST_MS + 1_000, {"coin": "@107"}
    lines = [
        block(1, 0, half(ALICE, "B", 1, FIRST_MS, "-1.0", pnl="10.0"), half(BOB, "A", 1, FIRST_MS, "5.0", pnl="20.0")),
        block(2, 1, half(CAROL, "B", 2, later, "0.0", **spot), half(BOB, "A", 2, later, "9.0", **spot)),
        block(3, 3, half(ALICE, "B", 3, second, "1.0", twapId=7), half(BOB, "A", 3, second, "3.0")),
    ]
    path = tmp_path / "blocks.json"
    path.write_text("\n".join(lines))
    return RecordingSource(read_blocks(path), [LeaderboardRow(ALICE, 1_234.0, {}, roi_approximate=True)])


def test_positions_at_the_start_are_those_before_the_first_fill(source: RecordingSource) -> None:
    assert [str(p.size) for p in source.account(ALICE).positions] == ["-1.0"]
    # Alice closed 1 of her short with a profit of 10 at 100: entry 110. Bob closed 2 of his long with 20: entry 90.
    assert source.account(ALICE).positions[0].entry_px == 110
    assert source.account(BOB).positions[0].entry_px == 90
    assert source.account(ALICE).account_value == 1_234


def test_positions_follow_the_fills(source: RecordingSource) -> None:
    source.advance(FIRST_MS)
    assert [str(p.size) for p in source.account(ALICE).positions] == ["1.0"]
    source.advance(FIRST_MS + 10_000)
    assert [str(p.size) for p in source.account(BOB).positions] == ["1.0"]


def test_slices_are_not_among_the_fills(source: RecordingSource) -> None:
    source.advance(FIRST_MS + 10_000)
    assert [f.tid for f in source.fills(ALICE, 0, FIRST_MS + 10_000)] == [1]
    assert [(s.twap_id, s.fill.tid) for s in source.twap_slices(ALICE, 0, FIRST_MS + 10_000)] == [(7, 3)]


def test_only_perpetuals_of_the_first_dex_are_listed(source: RecordingSource) -> None:
    assert [(a.coin, a.sz_decimals) for a in source.assets] == [("BTC", 0)]
    assert source.other_coins == ["@107"]


def test_everybody_who_traded_anything_occurs_in_the_recording(source: RecordingSource) -> None:
    assert source.recorded_users == sorted([ALICE, BOB, CAROL])
    assert list(source.account(CAROL).positions) == []


def test_books_were_not_recorded_and_stay_unknown(source: RecordingSource) -> None:
    source.advance(FIRST_MS + 10_000)
    assert source.book("BTC") is None
    assert source.context("BTC").mid_px is None


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="0 blocks"):
        RecordingSource([])


@asynccontextmanager
async def played(source: RecordingSource, speed: float = 0) -> AsyncIterator[Client]:
    emulator = Emulator(EmulatorConfig(speed=speed), StillClock(), seconds=HandClock())
    async with serving(emulator) as url, aiohttp.ClientSession() as http:
        emulator.open(source)
        yield Client(emulator, url, http)


async def data_frames(socket: Socket) -> list[dict[str, Any]]:
    """Everything up to the end of the recording."""
    frames = []
    while (frame := await socket.next())["channel"] != "emulator":
        frames.append(frame)
    assert frame == {"channel": "emulator", "data": {"event": "end"}}
    return frames


async def test_frames_carry_their_receive_time_and_the_end_is_told(source: RecordingSource) -> None:
    async with played(source) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.post("/emulator/ready", {})
        frames = await data_frames(socket)
        assert [(f["data"][0]["tid"], f["emulatedReceiveMs"]) for f in frames] == [
            (1, FIRST_MS + DELAY_MS),
            (3, FIRST_MS + 3_000 + DELAY_MS),
        ]
        async with client.http.get(f"{client.url}/emulator/status") as reply:
            status = await reply.json()
        assert (status["phase"], status["virtual_clock"], status["now_ms"]) == ("ended", True, FIRST_MS + 3_000)


async def test_nothing_is_played_before_the_stream_is_ready(source: RecordingSource) -> None:
    async with played(source) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        assert await socket.silence()
        assert client.emulator.now_ms == FIRST_MS - 1


async def test_the_accounts_of_the_recording_can_be_asked_for(source: RecordingSource) -> None:
    async with played(source) as client, client.http.get(f"{client.url}/emulator/users") as reply:
        assert await reply.json() == {"users": sorted([ALICE, BOB, CAROL])}


async def test_trades_of_other_markets_are_heard_and_nothing_else_of_them(source: RecordingSource) -> None:
    async with played(source) as client, client.socket() as socket:
        async with client.http.get(f"{client.url}/emulator/status") as reply:
            assert (await reply.json())["other_coins"] == ["@107"]
        await socket.say(method="subscribe", subscription={"type": "l2Book", "coin": "@107"})
        assert (await socket.next())["channel"] == "error"
        await socket.subscribe(type="trades", coin="@107")
        await client.post("/emulator/ready", {})
        assert [t["tid"] for f in await data_frames(socket) for t in f["data"]] == [2]


async def test_a_recording_is_paced_by_its_receive_times(source: RecordingSource) -> None:
    async with played(source, speed=30) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        began = asyncio.get_running_loop().time()
        await client.post("/emulator/ready", {})
        await data_frames(socket)
        took = asyncio.get_running_loop().time() - began
        assert took >= 3 / 30  # three recorded seconds, thirty times as fast


async def test_a_recording_never_runs_ahead_of_a_consumer_that_does_not_read(source: RecordingSource) -> None:
    async with played(source) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        socket.raw._reader._protocol.pause_reading()  # type: ignore[attr-defined] - a client too busy to read
        await client.post("/emulator/ready", {})
        await asyncio.sleep(0.05)
        assert client.emulator.now_ms == FIRST_MS  # the first block waits for its reader
        socket.raw._reader._protocol.resume_reading()  # type: ignore[attr-defined]
        assert len(await data_frames(socket)) == 2


def real_blocks() -> list[Block]:
    path = SHARED / "hl-node-fills-20251027" / "sample_data.json"
    if not path.exists():
        pytest.skip("the recorded fills of shared/data are absent")
    return list(read_blocks(path))


@pytest.mark.realdata
async def test_the_real_recording_is_played_whole_and_its_positions_chain() -> None:
    blocks = real_blocks()
    source = RecordingSource(blocks)
    coins = [a.coin for a in source.assets]
    async with played(source) as client, client.socket() as socket:
        for coin in (*coins, *source.other_coins):
            await socket.say(method="subscribe", subscription={"type": "trades", "coin": coin})
        await client.post("/emulator/ready", {})
        frames = [f for f in await data_frames(socket) if f["channel"] == "trades"]
    assert sum(len(f["data"]) for f in frames) == 3_641  # its SOURCE.txt
    assert sum(t["coin"] in coins for f in frames for t in f["data"]) == 3_304  # without spot and builders' dexes
    assert [f["emulatedReceiveMs"] for f in frames] == sorted(f["emulatedReceiveMs"] for f in frames)
    last = {(f.user, f.coin): f for b in blocks for f in b.fills if f.coin in coins}
    for (user, coin), fill in last.items():
        held = {p.coin: p.size for p in source.account(user).positions}
        assert fill.start_position is not None
        assert held.get(coin, 0) == fill.start_position + fill.signed_size


@pytest.mark.realdata
async def test_the_recorded_leaderboard_is_served_beside_the_recording(tmp_path: Path) -> None:
    real_blocks()
    plan = RecordingPlan(SHARED / "hl-node-fills-20251027", SHARED / "hl-leaderboard-20251202")
    built = build_source(Options(EmulatorConfig(), plan, tmp_path), 0)
    emulator = Emulator(EmulatorConfig(), StillClock(), seconds=HandClock())
    async with serving(emulator) as url, aiohttp.ClientSession() as http:
        emulator.open(built.source, **built.about)
        async with http.get(f"{url}/Mainnet/leaderboard") as reply:
            rows = (await reply.json())["leaderboardRows"]
        assert len(rows) >= 27_000  # of 27,650; a few names and values cannot be trusted
        assert "approximations" in emulator.status()
        async with http.get(f"{url}/emulator/users") as reply:
            users = set((await reply.json())["users"])
    assert len(users & {row["ethAddress"] for row in rows}) >= 200  # 250 of 899, some of them in other markets only
