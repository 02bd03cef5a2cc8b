"""What the stream says of itself: rows for page and API, and /healthz, /readyz, /metrics on loopback."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import DBAPIError

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import stream_store
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_core.ports import Clock
from sigmapilot_stream.agents.decide import Decide
from sigmapilot_stream.services.feed import FeedService
from sigmapilot_stream.services.snapshots import SnapshotService

EVERY_S = 1.0
SNAPSHOT_LIMIT_S = 3600.0
RATE_REPORTS = 10

log = structlog.get_logger(__name__)


class HealthService:
    """Judges readiness and reports it; `on_ready` is awaited once, when everything arrives for the first time."""

    def __init__(
        self,
        database: sa.Engine,
        clock: Clock,
        decide: Decide,
        feed: FeedService,
        snapshots: SnapshotService,
        metrics: Metrics,
        on_ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._decide = decide
        self._feed = feed
        self._snapshots = snapshots
        self._metrics = metrics
        self._on_ready = on_ready
        self._limits = FreshnessParams()
        self.was_ready = False
        self.has_ended = False
        self._totals: dict[str, deque[tuple[int, int]]] = {}

    def missing(self) -> list[str]:
        """What is still missing for decisions; empty when ready."""
        engine = self._decide.worker.engine
        reasons = []
        if self._snapshots.version is None:
            reasons.append("no model snapshot is published yet: materialise the asset graph")
        if not self._feed.status().is_live:
            reasons.append("the feed is not live yet")
        waiting = [name for name in engine.unprimed if engine.traders[name].member is not None]
        if waiting:
            reasons.append(f"positions of {len(waiting)} pool traders are not known yet")
        return reasons

    async def run(self) -> None:
        """Report every second until cancelled."""
        while True:
            if not self.was_ready and not self.missing():
                self.was_ready = True
                await self._on_ready()
            self._gauges()
            try:
                await asyncio.to_thread(self._write, self._status(), self._assets())
            except DBAPIError as error:
                log.warning("status not written", reason=str(error.orig).strip())
            await asyncio.sleep(EVERY_S)

    def _write(self, status: dict[str, dict[str, Any]], assets: dict[str, dict[str, Any]]) -> None:
        with self._database.begin() as connection:
            stream_store.store_status(connection, status)
            stream_store.store_asset_status(connection, self._clock.now_ms(), assets)

    def _gauges(self) -> None:
        m, engine, now = self._metrics, self._decide.worker.engine, self._clock.now_ms()
        last = self._feed.last_frame_ms
        if last is not None:
            m.sigmapilot_feed_silence_seconds.set(max(0.0, (now - last) / 1000))
        m.sigmapilot_tracked_traders.set(len(engine.traders))
        m.sigmapilot_snapshot_age_limit_seconds.set(SNAPSHOT_LIMIT_S)
        if self._snapshots.version is not None and self._snapshots.published_at_ms is not None:
            m.sigmapilot_snapshot_version.set(self._snapshots.version)
            m.sigmapilot_snapshot_age_seconds.set(max(0.0, (now - self._snapshots.published_at_ms) / 1000))
        for coin, state in engine.coins.items():
            longs, shorts = state.vote_set.heads()
            m.sigmapilot_votes.labels(coin, "long").set(longs)
            m.sigmapilot_votes.labels(coin, "short").set(shorts)

    def _status(self) -> dict[str, dict[str, Any]]:
        now, feed = self._clock.now_ms(), self._feed.status()
        engine, missing = self._decide.worker.engine, self.missing()
        unprimed = len(engine.unprimed)

        def row(value: Any, at_ms: int | None, limit_s: float | None, detail: str) -> dict[str, Any]:
            return {"value": value, "at_ms": at_ms, "age_limit_s": limit_s, "detail": detail}

        ready = "ready" if not missing else "; ".join(missing)
        status = {
            "heartbeat": row(not missing, now, 15, ready),
            "feed": row(feed.is_live, self._feed.last_frame_ms, self._limits.feed_s, feed.last_error or "connected"),
            "frames": self._rate(
                "frames", feed.counts.get("frames", 0), f"{feed.counts.get('malformed', 0)} malformed"
            ),
            "fills": self._rate("fills", engine.counters.fills, f"{engine.counters.duplicate} duplicates"),
            "lag": row(feed.queued, now, None, f"input {self._decide.handled_seq} committed"),
            "snapshot": row(
                self._snapshots.version, self._snapshots.published_at_ms, SNAPSHOT_LIMIT_S, "model in force"
            ),
            "tracked": row(len(engine.traders), now, None, f"{unprimed} wait for their positions"),
        }
        if self._feed.is_virtual:
            told = "the recording has ended" if self.has_ended else "the recording plays"
            status["ended"] = row(self.has_ended, now, None, told)
        return status

    def _rate(self, name: str, total: int, detail: str) -> dict[str, Any]:
        """Events a second over the last ten reports, and how many there were in all."""
        now = self._clock.now_ms()
        seen = self._totals.setdefault(name, deque(maxlen=RATE_REPORTS))
        seen.append((now, total))
        first_ms, first = seen[0]
        rate = (total - first) * 1000 / (now - first_ms) if now > first_ms else 0.0
        return {"value": round(rate, 1), "total": total, "at_ms": now, "age_limit_s": None, "detail": detail}

    def _assets(self) -> dict[str, dict[str, Any]]:
        coins = self._decide.worker.engine.coins
        return {coin: self._asset(state) for coin, state in coins.items() if coin in self._feed.book_coins}

    def _asset(self, state: CoinState) -> dict[str, Any]:
        longs, shorts = state.vote_set.heads()
        book_at = state.book.received_ms if state.book is not None else None
        regime = state.figures.regime
        ages = [
            self._age("book", book_at, self._limits.book_s),
            self._age("feed", state.connection.last_frame_ms, self._limits.feed_s),
            self._age(
                "volatility",
                state.figures.volatility.computed_at_ms if state.figures.volatility else None,
                self._limits.volatility_computed_s,
            ),
        ]
        return {
            "mid": state.book.mid if state.book is not None else None,
            "book_age_s": ages[0]["age_s"],
            "votes": {"long": longs, "short": shorts},
            "regime": regime.regime.value if regime is not None else None,
            "stop_fraction": state.stop_fraction,
            "unknown_reason": state.unknown_reason,
            "inputs": ages,
        }

    def _age(self, name: str, at_ms: int | None, limit_s: float) -> dict[str, Any]:
        age = None if at_ms is None else max(0.0, (self._clock.now_ms() - at_ms) / 1000)
        verdict = "unknown" if age is None else "pass" if age <= limit_s else "fail"
        return {"name": name, "age_s": age, "limit_s": limit_s, "verdict": verdict}


async def serve(health: HealthService, registry: CollectorRegistry, port: int) -> web.AppRunner:
    """Start the three routes on loopback; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"alive": True, "ready": not health.missing()})

    async def readyz(_: web.Request) -> web.Response:
        missing = health.missing()
        return web.json_response({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
