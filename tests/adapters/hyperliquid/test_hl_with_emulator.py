"""Client and emulator understand each other: what the venue holds is what we read."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from hl_venue import within

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.scripted_source import Script, ScriptedSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.hyperliquid import calls, histories
from sigmapilot_core.adapters.hyperliquid import subscriptions as want
from sigmapilot_core.adapters.hyperliquid.connection import ConnectionParams
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.leaderboard_download import DownloadParams, LeaderboardDownload
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams
from sigmapilot_core.adapters.hyperliquid.messages import TradesMessage, UserFillsMessage
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.venue import AssetSpec, LeaderboardRow, LeaderboardWindow

START_MS = 1_760_000_000_000
ALICE, BOB = "0x" + "a" * 40, "0x" + "b" * 40
ROW = LeaderboardRow(ALICE, 50_000.0, {"month": LeaderboardWindow(1_000.0, 0.02, 5_000.0)}, "Alice")


def trade(number: int, after_ms: int) -> Trade:
    return Trade(
        "BTC", Decimal(100_000), Decimal("0.01"), START_MS + after_ms, number, f"0x{number:064x}", ALICE, BOB, True
    )


@asynccontextmanager
async def emulated(trades):
    script = Script(
        assets=[AssetSpec("BTC", 5, 40), AssetSpec("ETH", 4, 25)],
        prices={"BTC": Decimal(100_000), "ETH": Decimal(4_000)},
        trades=trades,
        leaderboard=[ROW],
        cash_flows=[],
    )
    clock = FeedClock(START_MS)
    emulator = Emulator(replace(EmulatorConfig(), stepped=True), clock, seconds=lambda: 0.0)
    async with serving(emulator) as url:
        emulator.open(ScriptedSource(script, START_MS))
        yield emulator, url


def info_of(url: str) -> Info:
    return Info(RestParams(url), Limiter(LimiterParams(limit=10_000), LoopPace(), random.Random(1)))


async def test_what_the_emulator_holds_is_what_the_client_reads():
    async with emulated([trade(n, n * 1000) for n in range(1, 4)]) as (emulator, url), info_of(url) as info:
        await emulator.advance(START_MS + 5_000)
        assert [a.coin for a in await info.get(calls.meta())] == ["BTC", "ETH"]
        market = await info.get(calls.market(7))
        assert (len(market.contexts), market.rejected) == (2, ())
        state = await info.get(calls.account(ALICE))
        assert [(p.coin, p.size) for p in state.positions] == [("BTC", Decimal("0.03"))]
        history = await info.collect(histories.fill_history(ALICE, START_MS))
        assert [f.tid for f in history.fills] == [1, 2, 3]
        assert {t.tid for t in await info.get(calls.recent_trades("BTC"))} == {1, 2, 3}
        assert (await info.get(calls.book("BTC", 7))).mid == pytest.approx(100_000, rel=0.01)
        assert await info.get(calls.book("NONE", 7)) is None
        assert (await info.get(calls.status())).time_ms >= START_MS
        assert (await info.get(calls.role(ALICE))).role in ("user", "missing")
        assert (await info.get(calls.fees(ALICE))).taker == 0.00045
        assert await info.get(calls.sub_accounts(ALICE)) == ()
        assert await info.collect(histories.candles("BTC", 60_000, START_MS - 3_600_000, START_MS + 5_000))
        await info.get(calls.portfolio(ALICE))
        assert (await info.get(calls.mids()))["BTC"] > 0


async def test_the_leaderboard_of_the_emulator_is_downloaded_and_read(tmp_path):
    async with emulated([]) as (_, url):
        download = LeaderboardDownload(DownloadParams(f"{url}/Mainnet/leaderboard", tmp_path), lambda: 0.0)
        fetched = await within(asyncio.to_thread(download.fetch))
    assert fetched.board.rows == (ROW,)


async def test_the_feed_hears_history_then_live_trades_and_both_parties_fills():
    async with emulated([trade(1, 1000), trade(2, 3000)]) as (emulator, url):
        await emulator.advance(START_MS + 2_000)
        params = FeedParams(ConnectionParams(url.replace("http", "ws") + "/ws"), coin_connections=1)
        async with Feed(params, FeedClock(START_MS), LoopPace(), random.Random(1)) as feed:
            wanted = [want.trades("BTC"), want.bbo("BTC"), want.context("BTC"), want.user_fills(BOB)]
            assert feed.want(wanted) == ()
            frames = feed.frames()
            history = await _next(frames, TradesMessage)
            assert (history.is_history, [t.tid for t in history.parsed.trades]) == (True, [1])
            await _until_live(feed)
            await emulator.advance(START_MS + 4_000)
            live = await _next(frames, TradesMessage)
            assert (live.is_history, [t.tid for t in live.parsed.trades]) == (False, [2])
            fills = await _next(frames, UserFillsMessage, lambda f: not f.is_history)
            assert [(f.user, f.tid, f.is_buy) for f in fills.parsed.fills] == [(BOB, 2, False)]


async def _until_live(feed: Feed) -> None:
    async def look() -> None:
        while not feed.status().is_live:
            await asyncio.sleep(0.001)

    await within(look())


async def _next(frames, kind, accept=lambda _frame: True):
    while True:
        frame = await within(anext(frames))
        if isinstance(frame.parsed, kind) and accept(frame):
            return frame
