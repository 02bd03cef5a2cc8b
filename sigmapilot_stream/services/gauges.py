"""Measures what is a state rather than an event: ages, depths, shares. Read once a second."""

from __future__ import annotations

import structlog

from sigmapilot_core.adapters.hyperliquid.connection import LinkState
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.params import DAY_MS, FreshnessParams
from sigmapilot_core.ports import Clock
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.services.feed import FeedService
from sigmapilot_stream.services.snapshots import SnapshotService
from sigmapilot_stream.views import DecideView

SNAPSHOT_LIMIT_S = 3600.0
OVERLOADED_S, MADE_UP_FOR_S = 5.0, 1.0
"""Beyond five seconds books are too old to decide on (spec 5.4)."""
SET_ASIDE = ("duplicates", "ignored", "malformed", "empty", "unknown", "errors")

log = structlog.get_logger(__name__)


class Gauges:
    """Sets the gauges, and the counters that other parts keep for themselves."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        decide: DecideView,
        inputs: Submits,
        feed: FeedService,
        snapshots: SnapshotService,
        limiter: Limiter,
        limits: FreshnessParams,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._decide = decide
        self._inputs = inputs
        self._feed = feed
        self._snapshots = snapshots
        self._limiter = limiter
        self._limits = limits
        self._counted: dict[str, int] = {}
        self.lag_s = 0.0
        self.inputs_lag: dict[str, int] = {}
        self.overloaded_since_ms: int | None = None

    def sample(self) -> None:
        """Measure everything once."""
        now, engine = self._clock.now_ms(), self._decide.worker.engine
        self._sample_feed(now)
        self.sample_decisions(now)
        self._sample_snapshot(now)
        self._sample_budget()
        self._metrics.sigmapilot_tracked_traders.set(len(engine.traders))
        self._metrics.sigmapilot_traders_waiting.set(sum(not t.is_primed for t in engine.traders.values()))
        for coin in self._feed.book_coins:
            if coin in engine.coins:
                self._sample_coin(engine.coins[coin], now)

    def _sample_feed(self, now: int) -> None:
        m, last = self._metrics, self._feed.last_frame_ms
        if last is not None:
            m.sigmapilot_feed_silence_seconds.set(max(0.0, (now - last) / 1000))
        status = self._feed.status()
        if status.clock_offset_ms is not None:
            m.sigmapilot_venue_clock_offset_seconds.set(status.clock_offset_ms / 1000)
        m.sigmapilot_subscriptions_not_covered.set(len(status.not_covered))
        for reason in SET_ASIDE:
            m.sigmapilot_feed_set_aside_total.labels(reason).inc(self._grown(reason, status.counts.get(reason, 0)))
        connections = status.connections
        m.sigmapilot_subscriptions_refused.set(sum(len(link.refused) for link in connections))
        m.sigmapilot_feed_connections.set(sum(link.state == LinkState.LIVE for link in connections))
        m.sigmapilot_feed_reconnects_total.inc(
            self._grown("connects", sum(max(0, link.connects - 1) for link in connections))
        )

    def sample_decisions(self, now: int) -> None:
        """Measure what waits to be decided on, by partition, and how long."""
        handled = self._decide.handled_seqs
        self.inputs_lag = {
            name: max(0, sent - seq) for (name, seq), sent in zip(handled.items(), self._inputs.sent_seqs, strict=True)
        }
        for name, depth in self.inputs_lag.items():
            self._metrics.sigmapilot_queue_depth.labels(name).set(depth)
        self._sample_lag(now, sum(self.inputs_lag.values()))

    def _sample_lag(self, now: int, depth: int) -> None:
        """How far decisions are behind. Overload begins beyond `OVERLOADED_S` and is over below `MADE_UP_FOR_S`."""
        lag_s = self._decide.lag_s(now) if depth > 0 else 0.0
        if lag_s is None:
            return  # not known, which is not the same as none
        self.lag_s = lag_s
        if self.overloaded_since_ms is None and self.lag_s > OVERLOADED_S:
            self.overloaded_since_ms = now
            log.warning("decisions are behind the feed, which is slowed down", lag_s=self.lag_s, waiting=depth)
        elif self.overloaded_since_ms is not None and self.lag_s < MADE_UP_FOR_S:
            log.warning("the overload is over", seconds=(now - self.overloaded_since_ms) / 1000)
            self.overloaded_since_ms = None
        self._metrics.sigmapilot_lag_seconds.set(self.lag_s)
        self._metrics.sigmapilot_overloaded.set(self.overloaded_since_ms is not None)

    def _sample_snapshot(self, now: int) -> None:
        m, snapshot = self._metrics, self._snapshots.newest
        m.sigmapilot_snapshot_age_limit_seconds.set(SNAPSHOT_LIMIT_S)
        if snapshot is None:
            return
        m.sigmapilot_snapshot_version.set(snapshot.version)
        m.sigmapilot_snapshot_age_seconds.set(max(0.0, (now - snapshot.published_at_ms) / 1000))
        if snapshot.slow.correlation_as_of_ms is not None:
            age_ms = max(0, now - snapshot.slow.correlation_as_of_ms)
            m.decide_correlation_age_days.set(age_ms / DAY_MS)
            m.decide_correlation_stale.set(age_ms > 1000 * self._limits.correlation_s)

    def _sample_budget(self) -> None:
        m, status = self._metrics, self._limiter.status()
        m.hl_rate_limit_weight_consumed.set(status.used)
        m.hl_rate_limit_budget_usage_pct.set(100 * status.used / status.limit)
        m.hl_rate_limit_hits_total.inc(self._grown("waited", status.waited))
        m.hl_rate_limit_retries_total.inc(self._grown("throttled", status.throttled))

    def _sample_coin(self, state: CoinState, now: int) -> None:
        longs, shorts = state.vote_set.heads()
        self._metrics.sigmapilot_votes.labels(state.coin, "long").set(longs)
        self._metrics.sigmapilot_votes.labels(state.coin, "short").set(shorts)
        volatility = state.figures.volatility
        if volatility is not None and volatility.bar_close_ms is not None:
            age_s = max(0.0, (now - volatility.bar_close_ms) / 1000)
            self._metrics.decide_atr_age_seconds.labels(state.coin).set(age_s)

    def _grown(self, name: str, total: int) -> int:
        """How much a total grew since the last look."""
        before, self._counted[name] = self._counted.get(name, 0), total
        return max(0, total - before)
