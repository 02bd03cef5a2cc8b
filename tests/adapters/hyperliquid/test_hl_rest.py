"""Requests stay in the budget, reads survive transient faults, histories come whole, actions are never sent twice."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import httpx
import orjson
import pytest

from sigmapilot_core.adapters.hyperliquid import calls, encode, encode_account, histories
from sigmapilot_core.adapters.hyperliquid.errors import (
    BadMessage,
    OutcomeUnknown,
    PermanentError,
    RateLimited,
    TransientError,
)
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams, Priority, SyncLimiter
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams, SyncInfo, is_loopback
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.venue import CashFlow, FundingRate, TwapSlice

USER = "0x" + "ab" * 20
FAST = RestParams("http://127.0.0.1:1", attempts=3, wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0.001)
QUICK_PAUSE = LimiterParams(limit=1_000_000, margin=0, pause_s=(0.0, 0.001))


def a_fill(at: int, tid: int, coin: str = "BTC") -> Fill:
    return Fill(
        user=USER,
        coin=coin,
        is_buy=True,
        px=Decimal(100),
        sz=Decimal(1),
        time_ms=at,
        tid=tid,
        crossed=True,
        hash="0x0",
        fee=Decimal("0.1"),
    )


class Venue:
    """Answers /info from lists in memory, as the venue pages them; `script` holds answers to give first."""

    def __init__(self, fills=(), slices=(), rates=(), flows=(), bars=(), script=()) -> None:
        self.fills, self.slices, self.rates, self.flows, self.bars = fills, slices, rates, flows, bars
        self.script = list(script)
        self.asked: list[dict] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        self.asked.append(body)
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return httpx.Response(200, content=orjson.dumps(self.reply(body)))

    def reply(self, body):
        span = body.get("req", body)
        low, high = span.get("startTime", 0), span.get("endTime", 2**62)
        match body["type"]:
            case "userFillsByTime":
                return [encode_account.fill(f) for f in self.fills if low <= f.time_ms <= high][:2000]
            case "userTwapSliceFillsByTime":
                return [encode_account.twap_slice(s) for s in self.slices if low <= s.fill.time_ms <= high][:2000]
            case "fundingHistory":
                return [encode.funding_rate(r) for r in self.rates if low <= r.time_ms <= high][:500]
            case "userNonFundingLedgerUpdates":
                return [encode_account.cash_flow(f) for f in self.flows if low <= f.time_ms <= high][:500]
            case "candleSnapshot":
                return [encode.candle(b) for b in self.bars if low <= b.open_ms <= high][-5000:]
            case "exchangeStatus":
                return encode.exchange_status(5)
        raise AssertionError(body)


@asynccontextmanager
async def info_of(venue, params=QUICK_PAUSE):
    limiter = Limiter(params, LoopPace(), random.Random(1))
    async with Info(FAST, limiter, httpx.MockTransport(venue)) as info:
        yield info, limiter


async def test_a_history_of_fills_comes_whole_over_overlapping_pages():
    fills = [a_fill(1000 + n // 3, n) for n in range(4500)]
    venue = Venue(fills)
    async with info_of(venue) as (info, _):
        history = await info.collect(histories.fill_history(USER, 0))
    assert [f.tid for f in history.fills] == list(range(4500))
    assert history.complete
    assert history.pages == 4  # three of fills, one of slices
    assert all(f.source == "backfill" for f in history.fills)


async def test_slices_of_time_weighted_orders_are_merged_in_by_time():
    slices = [TwapSlice(7, replace(a_fill(at, 90 + at), twap_id=7)) for at in (2, 4)]
    async with info_of(Venue([a_fill(at, at) for at in (1, 3, 5)], slices)) as (info, _):
        history = await info.collect(histories.fill_history(USER, 0))
    assert [f.time_ms for f in history.fills] == [1, 2, 3, 4, 5]
    assert history.twap_fills == 2


async def test_more_fills_in_one_millisecond_than_a_page_holds_are_told_not_hidden():
    venue = Venue([a_fill(7, n) for n in range(2500)] + [a_fill(9, 9999)])
    async with info_of(venue) as (info, _):
        history = await info.collect(histories.fill_history(USER, 0, with_twap=False))
    assert not history.complete
    assert history.fills[-1].tid == 9999


async def test_fills_of_other_markets_are_ignored_and_counted_and_still_drive_the_paging():
    venue = Venue([a_fill(n, n, "@107" if n % 2 else "BTC") for n in range(2100)])
    async with info_of(venue) as (info, _):
        history = await info.collect(histories.fill_history(USER, 0, with_twap=False))
    assert len(history.fills) == 1050
    assert history.ignored >= 1050


async def test_funding_cash_flows_and_candles_come_whole():
    hour = 3_600_000
    rates = [FundingRate("BTC", n * hour, 0.0000125, 0.0) for n in range(1, 1202)]
    flows = [CashFlow(USER, 1 + n // 2, Decimal(5), "deposit") for n in range(700)]
    bars = [Bar("BTC", n * hour, (n + 1) * hour, 1.0, 2.0, 0.5, 1.5, 3.0) for n in range(6000)]
    async with info_of(Venue(rates=rates, flows=flows, bars=bars)) as (info, _):
        assert await info.collect(histories.funding_history("BTC", 0)) == tuple(rates)
        assert await info.collect(histories.cash_flows(USER, 0)) == tuple(flows)
        assert await info.collect(histories.candles("BTC", hour, 0, 6000 * hour)) == tuple(bars)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(502, content=b"<html>upgrade</html>"),
        httpx.Response(503),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("Server disconnected"),
    ],
)
async def test_a_read_survives_a_transient_fault(fault):
    venue = Venue(script=[fault])
    async with info_of(venue) as (info, _):
        assert (await info.get(calls.status())).time_ms == 5
    assert len(venue.asked) == 2


async def test_a_fault_that_stays_is_transient_after_all_attempts():
    venue = Venue(script=[httpx.Response(503)] * 9)
    async with info_of(venue) as (info, _):
        with pytest.raises(TransientError, match="exchangeStatus was answered 503"):
            await info.get(calls.status())
    assert len(venue.asked) == FAST.attempts


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(422, content=b"Failed to deserialize the JSON body into the target type"),
        httpx.Response(403, content=b"<html>CloudFront</html>"),
        httpx.Response(200, content=b"<html>not json</html>"),
    ],
)
async def test_a_permanent_fault_is_not_retried(answer):
    venue = Venue(script=[answer])
    async with info_of(venue) as (info, _):
        with pytest.raises(PermanentError, match="exchangeStatus was answered"):
            await info.get(calls.status())
    assert len(venue.asked) == 1


async def test_a_reply_of_the_wrong_shape_is_a_bad_message_and_not_retried():
    venue = Venue(script=[httpx.Response(200, content=b'{"time":"soon"}')])
    async with info_of(venue) as (info, _):
        with pytest.raises(BadMessage, match="time"):
            await info.get(calls.status())
    assert len(venue.asked) == 1


async def test_a_429_pauses_the_address_and_the_read_is_tried_again():
    venue = Venue(script=[httpx.Response(429, content=b"null", headers={"Retry-After": "0"})])
    async with info_of(venue) as (info, limiter):
        assert (await info.get(calls.status())).time_ms == 5
        assert limiter.status().throttled == 1


async def test_the_true_number_of_items_corrects_the_estimate():
    venue = Venue([a_fill(n, n) for n in range(100)])
    async with info_of(venue, LimiterParams()) as (info, limiter):
        await info.get(calls.fills_page(USER, 0, None))
        assert limiter.status().used == 20 + 100 // 20  # spec section 4.1


@pytest.mark.parametrize(
    ("call", "weight"),
    [
        (calls.account(USER), 2),
        (calls.meta(), 20),
        (calls.role(USER), 60),
        (calls.recent_fills(USER), 120),
        (calls.candle_page("BTC", 60_000, 0, 60_000 * 4999), 20 + 83),
    ],
)
def test_weights_are_those_of_the_specification(call, weight):
    assert call.estimate == weight


async def test_an_action_is_sent_once_and_a_lost_answer_is_an_unknown_outcome():
    for fault in (httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone"), httpx.Response(502)):
        venue = Venue(script=[fault])
        async with info_of(venue) as (info, _):
            with pytest.raises(OutcomeUnknown):
                await info.act({"action": {}}, 1, Priority.EXIT)
        assert len(venue.asked) == 1


async def test_an_action_that_was_never_sent_or_was_refused_is_known_not_to_have_happened():
    async with info_of(Venue(script=[httpx.ConnectError("refused")])) as (info, _):
        with pytest.raises(TransientError, match="not sent"):
            await info.act({"action": {}}, 1, Priority.EXIT)
    async with info_of(Venue(script=[httpx.Response(429)])) as (info, _):
        with pytest.raises(RateLimited):
            await info.act({"action": {}}, 1, Priority.EXIT)


async def test_an_action_answered_over_a_dropped_connection_is_an_unknown_outcome():
    received = asyncio.Event()

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.set()
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        limiter = Limiter(QUICK_PAUSE, LoopPace(), random.Random(1))
        async with Info(replace(FAST, base_url=f"http://127.0.0.1:{port}"), limiter) as info:
            with pytest.raises(OutcomeUnknown):
                await info.act({"action": {"type": "noop"}}, 1, Priority.OWN_ORDER)
    assert received.is_set()


def test_the_blocking_client_reads_the_same_histories():
    fills = [a_fill(n, n) for n in range(2500)]
    venue = Venue(fills, script=[httpx.Response(503), httpx.Response(429)])
    limiter = SyncLimiter(QUICK_PAUSE, iter(range(10_000)).__next__, lambda _s: None, random.Random(1))
    with SyncInfo(FAST, limiter, httpx.MockTransport(venue)) as info:
        assert len(info.collect(histories.fill_history(USER, 0)).fills) == 2500
        assert info.get(calls.status()).time_ms == 5


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://127.0.0.1:9", True), ("http://localhost", True), ("http://[::1]:1", True), ("https://api.x.xyz", False)],
)
def test_a_proxy_of_the_environment_is_never_used_for_loopback(url, expected):
    assert is_loopback(url) is expected
    assert RestParams(url).client_options()["trust_env"] is not expected
