"""What the stream says of itself in the database: rows for page and API, written every second."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import stream_store
from sigmapilot_core.domain.consensus.inputs import MAX_CLOCK_OFFSET_S
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_core.ports import Clock
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.services.asset_rows import asset_row
from sigmapilot_stream.services.canary import LIMIT_S as CANARY_LIMIT_S
from sigmapilot_stream.services.canary import CanaryService
from sigmapilot_stream.services.feed import FeedService
from sigmapilot_stream.services.gauges import SNAPSHOT_LIMIT_S, Gauges
from sigmapilot_stream.services.priming import PrimingService
from sigmapilot_stream.services.snapshots import SnapshotService
from sigmapilot_stream.together import repeat
from sigmapilot_stream.views import DecideView

EVERY_S = 1.0
HEARTBEAT_LIMIT_S = 15.0
RATE_REPORTS = 10

log = structlog.get_logger(__name__)

Row = dict[str, Any]


class HealthService:
    """Judges readiness and reports it; `on_ready` is awaited when everything is there for the first time, until it
    says True."""

    def __init__(
        self,
        database: sa.Engine,
        clock: Clock,
        decide: DecideView,
        feed: FeedService,
        snapshots: SnapshotService,
        gauges: Gauges,
        limits: FreshnessParams,
        priming: PrimingService,
        on_ready: Callable[[], Awaitable[bool]],
        canary: CanaryService,
    ) -> None:
        self.was_ready = False
        self.has_ended = False
        self._database = database
        self._clock = clock
        self._decide = decide
        self._feed = feed
        self._snapshots = snapshots
        self._gauges = gauges
        self._limits = limits
        self._priming = priming
        self._on_ready = on_ready
        self._canary = canary
        self._totals: dict[str, deque[tuple[int, int]]] = {}

    def missing(self) -> list[str]:
        """What is still missing for decisions; empty when ready. A recording begins once everybody is primed."""
        worker, reasons = self._decide.worker, []
        if self._snapshots.version is None:
            reasons.append("no model snapshot is published yet: materialise the asset graph")
        elif worker.snapshot_version != self._snapshots.version:
            reasons.append(f"model snapshot {self._snapshots.version} is not in force yet")
        if not self._feed.status().is_live:
            reasons.append("the feed is not live yet")
        is_awaited = self._feed.is_virtual and not self.was_ready
        waiting = sum(is_awaited or worker.engine.traders[u].member is not None for u in worker.engine.unprimed)
        if waiting:
            reasons.append(f"positions of {waiting} traders are not known yet")
        for name in self._canary.lost:
            reasons.append(f"partition {name} let no canary through for {self._canary.age_s(name):.0f} s")
        return reasons

    async def run(self) -> None:
        """Report every second until cancelled."""
        await repeat(self._look, EVERY_S)

    async def measure(self) -> None:
        """Measure every second until cancelled. Not before each report: that one waits for a database that hangs, and
        just then it counts how far decisions are behind."""
        await repeat(self._measure, EVERY_S)

    async def _measure(self) -> None:
        self._gauges.sample()

    async def _look(self) -> None:
        if not self.was_ready and not self.missing():
            self.was_ready = await self._on_ready()
            log.info("ready" if self.was_ready else "ready, and not heard")
        status, assets = self._status(), self._assets()
        await unless_down(lambda: self._write(status, assets), "the status is not written")

    def _write(self, status: dict[str, Row], assets: dict[str, Row]) -> None:
        with self._database.begin() as connection:
            stream_store.store_status(connection, status)
            stream_store.store_asset_status(connection, self._clock.now_ms(), assets)

    def _status(self) -> dict[str, Row]:
        now, feed, newest = self._clock.now_ms(), self._feed.status(), self._snapshots.newest
        engine, missing = self._decide.worker.engine, self.missing()
        counts, counters = feed.counts, engine.counters
        status = {
            "heartbeat": _row(not missing, now, HEARTBEAT_LIMIT_S, "; ".join(missing) or "ready"),
            "feed": _row(feed.is_live, self._feed.last_frame_ms, self._limits.feed_s, feed.last_error or "connected"),
            "clock": self._clock_row(feed.clock_offset_ms),
            "frames": self._rate("frames", counts.get("frames", 0), f"{counts.get('malformed', 0)} malformed"),
            "fills": self._rate("fills", counters.fills, f"{counters.duplicate} duplicates"),
            "lag": _row(round(self._gauges.lag_s, 3), now, None, f"{feed.queued} frames wait in the feed"),
            "inputs_lag": self._inputs_lag_row(now),
            "overload": self._overload_row(now),
            "path": self._path_row(),
            "snapshot": _row(
                None if newest is None else newest.version,
                None if newest is None else newest.published_at_ms,
                SNAPSHOT_LIMIT_S,
                "model in force",
            ),
            "tracked": _row(len(engine.traders), now, None, f"{len(engine.unprimed)} wait for their positions"),
            "priming": self._priming_row(now),
            "lanes": _row(len(self._feed.feed.heard()[1]), now, None, "accounts with a channel of their own"),
        }
        if self._feed.is_virtual:
            told = "the recording has ended" if self.has_ended else "the recording plays"
            status["ended"] = _row(self.has_ended, now, None, told)
        return status

    @property
    def inputs_lag(self) -> dict[str, int]:
        """Inputs that wait to be decided on, by partition, as they were measured last."""
        return self._gauges.inputs_lag

    def _inputs_lag_row(self, now: int) -> Row:
        """Inputs that wait in all partitions, and where most of them do."""
        lags = self.inputs_lag
        most = max(lags, key=lambda name: lags[name], default=None)
        told = "inputs that wait to be decided on" + (f", {lags[most]} in partition {most}" if most is not None else "")
        return _row(sum(lags.values()), now, None, told)

    def _overload_row(self, now: int) -> Row:
        """Whether decisions are behind the feed, and since when."""
        since = self._gauges.overloaded_since_ms
        told = "decisions keep up" if since is None else f"{self._gauges.lag_s:.1f} s behind; the reader is slowed down"
        return {**_row(since is not None, now, None, told), "since_ms": since}

    def _path_row(self) -> Row:
        """The newest canary that passed the whole path of the partition where that is longest ago."""
        name = self._canary.oldest
        passed = self._canary.passed[name]
        if passed.took_s is None:
            return _row(None, None, CANARY_LIMIT_S, f"no canary passed the path of partition {name} yet")
        told = f"from the journal to the paper account in {passed.took_s:.2f} s, partition {name}"
        return _row(passed.number, passed.at_ms, CANARY_LIMIT_S, told)

    def _priming_row(self, now: int) -> Row:
        """Share of followed traders whose positions are known, and how long the rest takes at best."""
        progress = self._priming.progress()
        known = progress.followed - progress.waiting
        left = f", {progress.minutes_left:.1f} min more at best" if progress.waiting else ""
        told = f"{known:,} of {progress.followed:,} known{left}; several at once: {self._priming.batch_form}"
        return _row(progress.share, now, None, told)

    def _clock_row(self, offset_ms: int | None) -> Row:
        """How far the venue's clock is from ours, beyond which nothing is decided."""
        now = self._clock.now_ms()
        offset_s = None if offset_ms is None else offset_ms / 1000
        is_off = offset_s is not None and abs(offset_s) > MAX_CLOCK_OFFSET_S
        told = f"nothing is decided beyond {MAX_CLOCK_OFFSET_S:g} s" if is_off else "seconds our clock is ahead"
        return _row(offset_s, now, None, told)

    def _rate(self, name: str, total: int, detail: str) -> Row:
        """Events a second over the last ten reports, and how many there were in all."""
        now = self._clock.now_ms()
        seen = self._totals.setdefault(name, deque(maxlen=RATE_REPORTS))
        seen.append((now, total))
        first_ms, first = seen[0]
        rate = (total - first) * 1000 / (now - first_ms) if now > first_ms else 0.0
        return {**_row(round(rate, 1), now, None, detail), "total": total}

    def _assets(self) -> dict[str, Row]:
        coins = self._decide.worker.engine.coins
        now = self._clock.now_ms()
        return {c: asset_row(coins[c], now, self._limits) for c in sorted(self._feed.book_coins) if c in coins}


def _row(value: Any, at_ms: int | None, limit_s: float | None, detail: str) -> Row:
    return {"value": value, "at_ms": at_ms, "age_limit_s": limit_s, "detail": detail}
