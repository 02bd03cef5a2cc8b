"""The one place where the stream is put together from the settings."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import FeedClock, SystemClock
from sigmapilot_core.adapters.hyperliquid import calls
from sigmapilot_core.adapters.hyperliquid.connection import ConnectionParams
from sigmapilot_core.adapters.hyperliquid.emulated_feed import EmulatedFeed
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, VenueError
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams, Priority
from sigmapilot_core.adapters.hyperliquid.liveness import LivenessParams
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace, Pace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams, trusted
from sigmapilot_core.adapters.hyperliquid.shared_window import SharedWindow, budget_params, budget_path
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics, add_process_metrics
from sigmapilot_core.adapters.postgres import execution_store
from sigmapilot_core.adapters.postgres.engine import BUSY_S, create_engine
from sigmapilot_core.adapters.postgres.migrate import claim_mode
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.execution.desk import PaperDesk
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_core.ports import Clock
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.records import ReportRecord

PARTITION = "0"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outside:
    """Everything of the world the stream holds on to; closed in one place. `assets` are the venue's perpetuals,
    `other_coins` those of other markets that are heard as well: all that a recording holds, none elsewhere."""

    settings: Settings
    database: sa.Engine
    registry: CollectorRegistry
    metrics: Metrics
    clock: Clock
    limiter: Limiter
    info: Info
    feed: Feed
    journal: JournalWriter
    assets: dict[str, AssetSpec]
    other_coins: tuple[str, ...] = ()

    @property
    def is_virtual(self) -> bool:
        """Whether the feed is the clock."""
        return isinstance(self.clock, FeedClock)

    async def close(self) -> None:
        """Close connections and files."""
        await self.info.aclose()
        self.journal.close()
        self.database.dispose()


async def outside(settings: Settings) -> Outside:
    """Connect to everything. Waits for the venue with growing patience; its absence is one sentence a try."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    add_process_metrics(registry, "hl_stream")
    pace = LoopPace()
    recorded = await _emulator_status(settings) if settings.mode.kind == "recording" else None
    clock: Clock = SystemClock() if recorded is None else FeedClock(int(recorded["now_ms"]))
    rng = random.Random(clock.now_ms())
    limits = budget_params(settings.request_weight_per_minute)
    budget = SharedWindow(budget_path(settings.budget_dir, settings.venue.api), limits, rng)
    limiter = Limiter(limits, pace, rng, budget)
    info = Info(RestParams(settings.venue.api), limiter)
    return Outside(
        settings=settings,
        database=create_engine(settings.database_url.get_secret_value(), trusted_s=BUSY_S),
        registry=registry,
        metrics=metrics,
        clock=clock,
        limiter=limiter,
        info=info,
        feed=feed_of(settings, clock, pace, rng),
        journal=JournalWriter(settings.journal_dir, PARTITION, time.monotonic),
        assets=await _assets(info, clock),
        other_coins=() if recorded is None else tuple(recorded["other_coins"]),
    )


def feed_of(settings: Settings, clock: Clock, pace: Pace, rng: random.Random) -> Feed:
    """The feed of a venue; how often it may connect is counted over all processes of the machine. Where the feed is
    the clock no trade can be older than the moment we subscribed, and silence means nothing: the recording waits until
    we are ready."""
    url = settings.venue.ws
    if not isinstance(clock, FeedClock):
        params = FeedParams(ConnectionParams(url))
        limits = LimiterParams(limit=params.connects_per_minute, margin=0)
        connects = SharedWindow(budget_path(settings.budget_dir, url, "connects"), limits, rng)
        return Feed(params, clock, pace, rng, Limiter(limits, pace, rng, connects))
    patient = ConnectionParams(url, liveness=LivenessParams(stale_after_s={}))
    return EmulatedFeed(FeedParams(patient, replay_margin_ms=0), clock, pace, rng)


async def _assets(info: Info, clock: Clock) -> dict[str, AssetSpec]:
    """The venue's perpetuals, asked until it answers."""
    wait = 1.0
    while True:
        try:
            market = await info.get(calls.market(clock.now_ms()), Priority.OWN_STATE)
        except (VenueError, BadMessage) as error:
            log.error("the exchange does not answer; trying again", wait_s=wait, reason=str(error))
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)
            continue
        return {asset.coin: asset for asset in market.assets if not asset.is_delisted}


async def _emulator_status(settings: Settings) -> dict[str, Any]:
    async with _emulator(settings) as client:
        answer = await client.get("/emulator/status")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
        return status


def _emulator(settings: Settings) -> httpx.AsyncClient:
    url = settings.venue.api
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=10, verify=trusted(url))


async def report_ready(settings: Settings) -> bool:
    """Tell an emulated venue that the stream listens: its events, or its recording, begin now. False if it did not
    hear; every other venue need not be told."""
    if not settings.mode.emulated:
        return True
    token = settings.api_token
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    async with _emulator(settings) as client:
        try:
            answer = await client.post("/emulator/ready", json={}, headers=headers)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the emulator was not told that the stream is ready", reason=str(error))
            return False
    return True


def executor_of(world: Outside, inputs: Submits, publish: Callable[[ReportRecord], Awaitable[object]]) -> Executor:
    """The paper account as it was left; it claims the database for this mode and says how it trades."""
    params, now_ms = world.settings.params, world.clock.now_ms()
    limits = {
        "mode": "paper",
        "max_position_pct": params.risk.max_position_pct,
        "max_exposure_pct": params.risk.max_exposure_pct,
        "max_leverage": params.risk.max_leverage,
    }
    with world.database.begin() as connection:
        claim_mode(connection, str(world.settings.mode))
        fresh_equity = Decimal(str(params.risk.paper_equity_usd))
        desk = PaperDesk(world.assets, params.costs.taker_fee_bps, execution_store.read_desk(connection, fresh_equity))
        risk = execution_store.read_risk(connection)
        execution_store.store_config(connection, limits, now_ms)
    return Executor(world.database, desk, risk, params, inputs, publish, world.metrics)
