"""Losses the emulator puts into the feed and counts itself are what the sample against the venue measures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from stream_harness import DELAY_MS, Running, publish, rows, running, script, trade, until, venue

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.report import completeness
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.emulator.scripted_source import Script
from sigmapilot_core.adapters.hyperliquid.reader import HttpVenueReader
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import MINUTE_MS, Params
from sigmapilot_core.domain.traders.completeness import CompletenessParams, Tally
from tests.domain.engine.engine_builders import POOL, T0

TRADES = 150
A_BLOCK = 5
BLOCK_MS = 1_000
END_MS = (1 + TRADES // A_BLOCK) * BLOCK_MS
EVERYBODY = CompletenessParams(sample_size=len(POOL), settle_ms=0)


def tape() -> list:
    """Five trades a block, each by another trader of the pool; sides alternate, coins too."""
    return [
        trade(
            n,
            (1 + n // A_BLOCK) * BLOCK_MS,
            POOL[n % len(POOL)],
            "buy" if n // A_BLOCK % 2 else "sell",
            coin="BTC" if n % 7 else "ETH",
        )
        for n in range(TRADES)
    ]


@asynccontextmanager
async def played(
    tmp_path: Path, pg_url: str, *orders: FaultOrder, twap: dict[int, int] | None = None
) -> AsyncIterator[tuple[Running, Platform]]:
    """The tape under faults, and a platform whose clock stands after it."""
    publish(pg_url)
    written: Script = replace(script(*tape()), twap_ids=twap or {})
    async with venue(played=written) as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        await live.ready()
        for order in orders:
            await emulator.order_fault(order)
        await live.play(END_MS, step_ms=BLOCK_MS)
        engine = create_engine(pg_url)
        try:
            yield live, Platform(
                "demo", "normal", Params(), engine, FeedClock(T0 + END_MS),
                lambda: HttpVenueReader(url, 1_000_000, lambda: T0, tmp_path), None, tmp_path, completeness=EVERYBODY,
            )  # fmt: skip
        finally:
            engine.dispose()


def materialised(platform: Platform) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([completeness.completeness], resources={"platform": platform}, instance=instance)


async def measured(platform: Platform, pg_url: str) -> tuple[Tally, bool]:
    """What one run of the asset finds, and its check."""
    result = await asyncio.to_thread(materialised, platform)
    (evaluation,) = result.get_asset_check_evaluations()
    sums = ", ".join(f"coalesce(sum({name}), 0)::int" for name in Tally.__slots__)
    (row,) = rows(pg_url, f"SELECT {sums} FROM completeness_cells")
    return Tally(*row), evaluation.passed


@pytest.mark.parametrize("fault", ["missing_trades", pytest.param("missing_single_trades", marks=pytest.mark.slow)])
async def test_the_measured_share_is_exactly_the_injected_one(tmp_path: Path, pg_url: str, fault: str) -> None:
    async with played(tmp_path, pg_url, FaultOrder(fault, probability=0.2)) as (live, platform):
        dropped = live.emulator.parts().losses.dropped
        found, passed = await measured(platform, pg_url)
        assert 10 < len(dropped) < 60  # the fault did something, and not to everything
        assert found == Tally(present=TRADES - len(dropped), missing_silent=len(dropped))
        assert found.share_present == 1 - len(dropped) / TRADES
        assert not passed
        missed = rows(pg_url, "SELECT time_ms, coin, tid FROM completeness_misses ORDER BY tid")
        assert {tuple(row) for row in missed} == set(dropped)


async def test_nothing_lost_is_a_share_of_one_with_slices_of_timed_orders(tmp_path: Path, pg_url: str) -> None:
    async with played(tmp_path, pg_url, twap={5: 9, 6: 9, 130: 10}) as (_, platform):
        found, passed = await measured(platform, pg_url)
        assert found == Tally(present=TRADES)
        assert passed


@pytest.mark.slow
async def test_altered_and_delayed_trades_are_wrong_and_late(tmp_path: Path, pg_url: str) -> None:
    orders = [
        FaultOrder("altered_trades", probability=0.5, coin="ETH"),
        FaultOrder("delay_trades", coin="BTC", until_ms=T0 + 15_000),
    ]
    async with played(tmp_path, pg_url, *orders) as (live, platform):
        losses = live.emulator.parts().losses
        found, passed = await measured(platform, pg_url)
        late = [key for key in losses.delayed if T0 + 15_000 + DELAY_MS - key[0] > EVERYBODY.late_ms]
        assert losses.altered
        assert found.wrong == len(losses.altered)
        assert 0 < found.late == len(late)  # a held frame leaves with the first block after the delay is over
        assert found.compared == TRADES
        assert not passed


@pytest.mark.slow
async def test_missed_fills_are_fetched_and_their_traders_primed_anew(tmp_path: Path, pg_url: str) -> None:
    async with played(tmp_path, pg_url, FaultOrder("missing_trades", coin="BTC", until_ms=T0 + 4_000)) as (
        live,
        platform,
    ):
        engine = live.stream.worker.engine
        lost = [name for name in POOL if engine.state_of(name, "BTC") is not None]
        venue_says = {name: live.emulator.parts().venue.source.account(name).positions for name in POOL}
        positions = {name: {p.coin: p.size for p in found} for name, found in venue_says.items()}
        assert any(engine.state_of(name, "BTC").ledger.position != positions[name].get("BTC", 0) for name in lost)
        await live.stream.missed.look()  # what was found before the start is done with
        await measured(platform, pg_url)
        await live.stream.missed.look()
        await live.settled()
        await until("everybody is primed", lambda: not engine.unprimed and live.stream.is_idle)
        for name in lost:
            assert engine.state_of(name, "BTC").ledger.position == positions[name].get("BTC", 0)
        sources = rows(pg_url, "SELECT source, count(*)::int FROM all_fills GROUP BY 1 ORDER BY 1")
        dropped = len(live.emulator.parts().losses.dropped)
        assert [tuple(row) for row in sources] == [("backfill", dropped), ("live", TRADES - dropped)]
        ledger = rows(pg_url, "SELECT missed_fills FROM gap_ledger WHERE detail LIKE 'a sample of the feed%'")
        assert sum(row.missed_fills for row in ledger) == dropped


@pytest.mark.slow
async def test_a_second_look_goes_on_where_the_first_ended(tmp_path: Path, pg_url: str) -> None:
    async with played(tmp_path, pg_url) as (_, platform):
        await measured(platform, pg_url)
        found, passed = await measured(platform, pg_url)
        assert rows(pg_url, "SELECT count(*) FROM completeness_samples")[0][0] == 1  # the next window is too young
        later = replace(platform, clock=FeedClock(T0 + END_MS + MINUTE_MS))
        found, passed = await measured(later, pg_url)
        assert [tuple(row) for row in rows(pg_url, "SELECT id, to_ms - from_ms FROM completeness_samples ORDER BY id")][
            1
        ] == (2, MINUTE_MS)
        assert (found, passed) == (Tally(present=TRADES), True)
