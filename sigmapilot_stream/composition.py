"""The one place where the stream is put together from the settings."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
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
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics, add_process_metrics
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_core.ports import Clock

PARTITION = "0"
STREAM_SHARE = 0.6

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outside:
    """Everything of the world the stream holds on to; closed in one place."""

    settings: Settings
    database: sa.Engine
    registry: CollectorRegistry
    metrics: Metrics
    clock: Clock
    info: Info
    feed: Feed
    journal: JournalWriter
    assets: dict[str, AssetSpec]

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
    clock: Clock = SystemClock()
    if settings.mode.kind == "recording":
        clock = FeedClock(int((await _emulator_status(settings))["now_ms"]))
    rng = random.Random(clock.now_ms())
    weight = int(settings.request_weight_per_minute * STREAM_SHARE)
    limiter = Limiter(LimiterParams(limit=weight, margin=weight // 8), pace, rng)
    info = Info(RestParams(settings.venue.api), limiter)
    params = FeedParams(ConnectionParams(settings.venue.ws))
    if isinstance(clock, FeedClock):
        # the feed is the clock: no trade can be older than the moment we subscribed
        params = replace(params, replay_margin_ms=0)
    feed = EmulatedFeed(params, clock, pace, rng) if isinstance(clock, FeedClock) else Feed(params, clock, pace, rng)
    return Outside(
        settings=settings,
        database=create_engine(settings.database_url.get_secret_value()),
        registry=registry,
        metrics=metrics,
        clock=clock,
        info=info,
        feed=feed,
        journal=JournalWriter(settings.journal_dir, PARTITION, time.monotonic),
        assets=await _assets(info, clock),
    )


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
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"{settings.venue.api}/emulator/status")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
        return status


async def report_ready(settings: Settings) -> None:
    """Tell an emulated venue that the stream listens: its events, or its recording, begin now."""
    if not settings.mode.emulated:
        log.info("ready")
        return
    token = settings.api_token.get_secret_value() if settings.api_token else ""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.post(
            f"{settings.venue.api}/emulator/ready", json={}, headers={"Authorization": f"Bearer {token}"}
        )
        answer.raise_for_status()
    log.info("ready", emulator=answer.json())


def paper_equity(settings: Settings) -> Decimal:
    """What a fresh paper account starts with."""
    return Decimal(str(settings.params.risk.paper_equity_usd))
