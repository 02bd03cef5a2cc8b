"""POST /info has the venue's shapes, limits and oddities (spec hyperliquid 1)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from emulator_harness import ALICE, BOB, CAROL, START_MS, Serve, trade

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.info_account import merged
from sigmapilot_core.domain.events import fills_of_trade

SEVERAL = [trade(1, 50), trade(2, 50, sz="0.03"), trade(3, 150)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"type": "unheardOf"},
        {"type": ["meta"]},
        {"type": "clearinghouseState"},
        {"type": "clearinghouseState", "user": "0x1"},
        {"type": "candleSnapshot", "coin": "BTC"},
        {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m", "startTime": 0}},
        {"type": "userFillsByTime", "user": ALICE},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 9},
        {"type": "userFills", "user": ALICE, "aggregateByTime": "yes"},
    ],
)
async def test_what_cannot_be_read_is_unprocessable(serve: Serve, body: Any) -> None:
    async with serve() as client:
        answer = await client.post("/info", body)
        assert answer == (422, "Failed to deserialize the JSON body into the target type")


async def test_an_address_nobody_has_used_has_an_empty_state(serve: Serve) -> None:
    async with serve() as client:
        state = await client.info(type="clearinghouseState", user=CAROL)
        assert state["marginSummary"]["accountValue"] == "0.0"
        assert state["assetPositions"] == []
        assert await client.info(type="userFills", user=CAROL) == []
        assert await client.info(type="userRole", user=CAROL) == {"role": "missing"}


async def test_account_state_agrees_with_the_fills(serve: Serve) -> None:
    async with serve(*SEVERAL) as client:
        await client.advance(200)
        state = await client.info(type="clearinghouseState", user=BOB)
        fills = await client.info(type="userFills", user=BOB)
        assert Decimal(state["assetPositions"][0]["position"]["szi"]) == -sum(Decimal(f["sz"]) for f in fills)
        assert state["time"] == START_MS + 200


async def test_fills_are_newest_first_and_by_time_ascending(serve: Serve) -> None:
    async with serve(*SEVERAL) as client:
        await client.advance(200)
        assert [f["tid"] for f in await client.info(type="userFills", user=ALICE)] == [3, 2, 1]
        window = {"type": "userFillsByTime", "user": ALICE, "startTime": START_MS}
        assert [f["tid"] for f in await client.info(**window, endTime=None)] == [1, 2, 3]
        assert [f["tid"] for f in await client.info(**window, endTime=START_MS + 149)] == [1, 2]


async def test_at_most_two_thousand_fills_are_given(serve: Serve) -> None:
    async with serve(*[trade(i, i) for i in range(1, 2_102)]) as client:
        await client.advance(2_200)
        newest = await client.info(type="userFills", user=ALICE)
        oldest = await client.info(type="userFillsByTime", user=ALICE, startTime=0)
        assert (len(newest), newest[0]["tid"]) == (2_000, 2_101)
        assert (len(oldest), oldest[0]["tid"]) == (2_000, 1)


def test_partial_fills_of_one_crossing_order_are_merged_by_size() -> None:
    from dataclasses import replace

    one, two = (
        replace(fills_of_trade(trade(i, 50, px=px, sz=sz))[0], oid=9)
        for i, px, sz in ((1, "100", "1"), (2, "103", "2"))
    )
    (both,) = merged([one, two])
    assert (both.px, both.sz, both.tid) == (Decimal(102), Decimal(3), 1)  # (100*1 + 103*2)/3
    assert len(merged([one, replace(two, oid=10)])) == 2


async def test_books_can_be_merged_to_significant_figures(serve: Serve) -> None:
    async with serve() as client:
        book = await client.info(type="l2Book", coin="BTC", nSigFigs=2)
        # bids round down and asks up: 99990 -> 99000, 100010 -> 110000
        assert [side[0]["px"] for side in book["levels"]] == ["99000.0", "110000.0"]
        assert await client.info(type="l2Book", coin="NOPE") is None


async def test_candles_come_with_the_unfinished_one_and_not_from_the_future(serve: Serve) -> None:
    async with serve(trade(1, 50, px="100100"), trade(2, 150, px="99900")) as client:
        await client.advance(200)
        request = {"coin": "BTC", "interval": "1h", "startTime": 0, "endTime": START_MS * 2}
        (bar,) = await client.info(type="candleSnapshot", req=request)
        assert (bar["o"], bar["h"], bar["l"], bar["c"]) == ("100100.0", "100100.0", "99900.0", "99900.0")
        assert bar["T"] - bar["t"] == 3_600_000 - 1


async def test_contexts_are_aligned_with_the_universe(serve: Serve) -> None:
    async with serve() as client:
        meta, contexts = await client.info(type="metaAndAssetCtxs")
        assert [a["name"] for a in meta["universe"]] == ["BTC", "ETH", "SOL"]
        assert [c["markPx"] for c in contexts] == ["100000.0", "4000.0", "200.0"]


async def test_there_is_one_dex_and_no_spot(serve: Serve) -> None:
    async with serve() as client:
        assert await client.info(type="perpDexs") == [None]
        assert await client.info(type="allMids", dex="xyz") == {}
        assert (await client.info(type="spotMeta"))["universe"] == []


async def test_batches_of_states_can_be_switched_off(serve: Serve) -> None:
    body = {"type": "batchClearinghouseStates", "users": [ALICE, CAROL]}
    async with serve(*SEVERAL) as client:
        await client.advance(200)
        states = await client.info(**body)
        assert [len(s["assetPositions"]) for s in states] == [1, 0]
    async with serve(config=EmulatorConfig(batch_states=False)) as client:
        assert (await client.post("/info", body))[0] == 422


async def test_ledger_and_leaderboard_come_from_the_same_source(serve: Serve) -> None:
    async with serve() as client:
        (deposit,) = await client.info(type="userNonFundingLedgerUpdates", user=ALICE, startTime=0)
        assert deposit["delta"] == {"type": "deposit", "usdc": "50000.0"}
        async with client.http.get(f"{client.url}/Mainnet/leaderboard") as reply:
            rows = (await reply.json())["leaderboardRows"]
        assert [r["ethAddress"] for r in rows] == [ALICE, BOB]


async def test_an_unchanged_leaderboard_is_not_sent_twice(serve: Serve) -> None:
    async with serve() as client:
        url = f"{client.url}/Mainnet/leaderboard"
        async with client.http.get(url) as first:
            etag = first.headers["ETag"]
        async with client.http.get(url, headers={"If-None-Match": etag}) as second:
            assert second.status == 304
        async with client.http.get(f"{url}?asOfMs=yesterday") as wrong:
            assert wrong.status == 400


@pytest.mark.parametrize(
    "kind",
    [
        "perpsAtOpenInterestCap",
        "predictedFundings",
        "exchangeStatus",
        "allPerpMetas",
        "spotMetaAndAssetCtxs",
        "outcomeMeta",
    ],
)
async def test_a_type_without_arguments_answers(serve: Serve, kind: str) -> None:
    async with serve() as client:
        assert await client.info(type=kind) is not None


@pytest.mark.parametrize(
    "kind",
    [
        "userFees",
        "portfolio",
        "subAccounts",
        "userVaultEquities",
        "spotClearinghouseState",
        "userAbstraction",
        "twapHistory",
    ],
)
async def test_a_type_about_an_account_answers(serve: Serve, kind: str) -> None:
    async with serve() as client:
        status, _ = await client.post("/info", {"type": kind, "user": ALICE})
        assert status == 200
