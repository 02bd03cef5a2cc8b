"""Every Prometheus metric of the system, declared once by name.

`Metrics` is what the deciding process counts as it runs: the predecessor's names (spec/predecessor.md 1.11), which
dashboards and the operators' runbook keep using, and new ones under `sigmapilot_`. `DatabaseMetrics` is what the HTTP
API derives from stored rows at each scrape, `ApiMetrics` the API's own requests. `describe()` lists names, types,
labels and buckets; a test compares it with `tests/golden/metrics.txt`.

Counters and histograms exist from the start, since "nothing yet" is a true 0. A gauge exists from its first use: what
is not known is not exported, so an exported 0 always means zero.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

Kind = TypeVar("Kind", Counter, Gauge, Histogram)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class _Field(Generic[Kind]):
    """One declared metric; its exported name is the name of the attribute."""

    def __init__(self, kind: type[Kind], text: str, labels: tuple[str, ...], **options: Any) -> None:
        self.kind: type[Kind] = kind
        self.text, self.labels, self.options = text, labels, options
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: _Declared, owner: type) -> Kind:
        return instance.built(self)

    def build(self, registry: CollectorRegistry) -> Kind:
        return self.kind(self.name, self.text, self.labels, registry=registry, **self.options)

    def line(self) -> str:
        """`name kind {labels} [buckets]`: the golden form."""
        labels = f" {{{','.join(self.labels)}}}" if self.labels else ""
        bounds = self.options.get("buckets", ())
        buckets = f" [{' '.join(f'{bound:g}' for bound in bounds)}]" if bounds else ""
        return f"{self.name} {self.kind.__name__.lower()}{labels}{buckets}"


def counter(text: str, *labels: str) -> _Field[Counter]:
    """A count of events since the process started."""
    return _Field(Counter, text, labels)


def gauge(text: str, *labels: str) -> _Field[Gauge]:
    """A number that goes up and down; not exported before its first use."""
    return _Field(Gauge, text, labels)


def histogram(text: str, *labels: str, buckets: tuple[float, ...]) -> _Field[Histogram]:
    """A distribution over upper bounds."""
    return _Field(Histogram, text, labels, buckets=buckets)


class _Declared:
    """Metrics of one registry: `metrics.decide_fills_total.inc()`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._lock = Lock()
        self._built: dict[str, Any] = {}
        for field in self.fields():
            if field.kind is not Gauge:
                self.built(field)

    @classmethod
    def fields(cls) -> list[_Field[Any]]:
        """All declared metrics, those of base classes included."""
        return [value for base in reversed(cls.__mro__) for value in vars(base).values() if isinstance(value, _Field)]

    def built(self, field: _Field[Kind]) -> Kind:
        """The metric behind a declaration, made on first use."""
        with self._lock:
            if field.name not in self._built:
                self._built[field.name] = field.build(self.registry)
            return self._built[field.name]


class _Predecessor(_Declared):
    """Names of the predecessor; where its meaning and signals.md differ, signals.md holds."""

    hl_scout_candidate_publish_seconds = histogram("Telling of traders new to the pool", "operation", buckets=_SECONDS)
    hl_stream_fills_publish_seconds = histogram("Journalling and sending inputs", "operation", buckets=_SECONDS)
    hl_rate_limit_hits_total = counter("Requests that waited for the venue's weight budget")
    hl_rate_limit_retries_total = counter("Requests repeated after HTTP 429")
    hl_rate_limit_weight_consumed = gauge("Request weight used in the last minute")
    hl_rate_limit_budget_usage_pct = gauge("Request weight used in the last minute, percent of the budget")
    sage_candidates_total = counter("Candidates received")
    sage_scores_total = counter("Scores published")
    sage_score_latency_seconds = histogram("From a published snapshot to its scores", buckets=(0.01, 0.05, 0.1, 0.5))
    decide_positions_opened_total = counter("Episodes of tracked traders opened")
    decide_positions_closed_total = counter("Episodes of tracked traders closed")
    decide_fills_total = counter("Fills of tracked traders applied to the ledger")
    decide_consensus_signals_total = counter("Decisions of type signal")
    decide_position_pnl_r = histogram(
        "R of closed episodes after costs, clamped", buckets=(-2, -1, -0.5, 0, 0.5, 1, 2, 5)
    )
    decide_atr_stale_total = counter("Evaluations that met a stale ATR", "asset")
    decide_atr_fallback_total = counter("Evaluations whose stop is not from the ATR", "asset", "source")
    decide_atr_blocked_total = counter("Evaluations blocked by the ATR", "asset")
    decide_atr_age_seconds = gauge("Age of the last closed bar behind the ATR", "asset")
    decide_correlation_stale = gauge("1 if the correlations are older than their limit, else 0")
    decide_correlation_age_days = gauge("Age of the correlations in force, days")
    decide_correlation_decay_factor = gauge("Weight of a measured correlation against the default, 0 to 1")
    decide_correlation_pairs_loaded = gauge("Measured pairs in the snapshot in force")
    decide_correlation_coverage_pct = gauge("Measured pairs, percent of all pairs of the pool")
    decide_correlation_pool_size = gauge("Traders of the pool in force")
    decide_correlation_default_used_total = counter("Pairs of voters without a measured correlation")
    decide_effk_default_fallback_total = counter("Effective K computed from default correlations only")
    decide_effk_value = histogram("Effective K of the agreeing voters", buckets=(1, 2, 3, 5, 7, 10, 15, 20, 50))
    decide_vote_weight = histogram("Weight of a vote", buckets=(0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1))
    decide_vote_weight_max = gauge("Largest weight among the votes of the last evaluation")
    decide_vote_weight_gini = gauge("Gini coefficient of the vote weights of the last evaluation")
    decide_vote_weight_saturation_pct = gauge("Votes at the notional cap in the last evaluation, percent")
    decide_vote_weight_saturated_total = counter("Votes at the notional cap", "asset")
    decide_signal_generated_total = counter("Signals", "symbol", "direction")
    decide_signal_risk_rejected_total = counter("Decisions that failed a risk check", "reason")
    decide_safety_block_total = counter("Entries blocked by a safety guard", "guard")


class Metrics(_Predecessor):
    """What the deciding process counts."""

    sigmapilot_frames_total = counter("Frames read from the venue", "channel")
    sigmapilot_trades_total = counter("Public trades read, duplicates not counted")
    sigmapilot_feed_silence_seconds = gauge("Time since any frame arrived")
    sigmapilot_feed_reconnects_total = counter("Connections to the venue opened again")
    sigmapilot_feed_connections = gauge("Connections to the venue that hear everything they should")
    sigmapilot_feed_set_aside_total = counter("What frames held that leads to nothing, by reason", "reason")
    sigmapilot_subscriptions_refused = gauge("Subscriptions the venue refused or did not answer")
    sigmapilot_subscriptions_not_covered = gauge("Subscriptions beyond the venue's limits")
    sigmapilot_venue_clock_offset_seconds = gauge("Our clock minus the venue's, shortest network delay included")
    sigmapilot_vip_fills_total = counter(
        "Fills of accounts with a lane of their own, by both lanes' verdict", "verdict"
    )
    sigmapilot_traders_waiting = gauge("Followed traders whose positions are not known yet")
    sigmapilot_positions_asked_total = counter(
        "Accounts asked about, by reason and whether they answered", "why", "answer"
    )
    sigmapilot_feed_gaps_total = counter("Holes found in the feed", "kind")
    sigmapilot_frame_lag_seconds = histogram("From exchange time of a trade to its receipt", buckets=_SECONDS)
    sigmapilot_queue_depth = gauge("Journalled records not yet decided on", "partition")
    sigmapilot_consumer_lag = gauge("Messages of inputs on the broker that are not yet decided on", "partition")
    sigmapilot_batch_commit_seconds = histogram("Transaction of a micro-batch", buckets=_SECONDS)
    sigmapilot_journal_bytes_total = counter("Bytes appended to the journal")
    sigmapilot_journal_disk_bytes = gauge("Size of the journal on disk")
    sigmapilot_lag_seconds = gauge("Age of the newest input that is decided on, while others wait; 0 if none waits")
    sigmapilot_overloaded = gauge("1 while the lag is beyond its limit and until it is made up for, else 0")
    sigmapilot_reader_waits_total = counter("Times the reader of the feed waited because the decision step was behind")
    sigmapilot_canary_age_seconds = gauge(
        "Time since the newest canary that passed the whole path of a partition was sent", "partition"
    )
    sigmapilot_canary_seconds = histogram("From sending a canary to the paper account's commit", buckets=_SECONDS)
    sigmapilot_journal_cut_bytes_total = counter("Bytes of an incomplete last record, cut off at a start")
    sigmapilot_checkpoint_bytes = gauge("Size of the state that was last kept beside the journal")
    sigmapilot_checkpoint_pause_seconds = gauge("How long the decision step stood still for that")
    sigmapilot_dead_records_total = counter("Records parked after repeated failure", "kind")
    sigmapilot_tracked_traders = gauge("Traders whose positions are followed")
    sigmapilot_votes = gauge("Votes in force", "asset", "direction")
    sigmapilot_evaluations_total = counter("Changes of the votes on an asset, each of which is evaluated", "asset")
    sigmapilot_decisions_total = counter("Decisions written", "decision_type")
    sigmapilot_gate_verdicts_total = counter("Verdicts of the gates over decisions", "gate", "verdict")
    sigmapilot_decision_latency_seconds = histogram("From receipt of a frame to its decision", buckets=_SECONDS)
    sigmapilot_input_unknown_total = counter("Evaluations that met an unknown input", "input")
    sigmapilot_snapshot_version = gauge("Version of the model snapshot in force")
    sigmapilot_snapshot_age_seconds = gauge("Age of the model snapshot in force")
    sigmapilot_snapshot_age_limit_seconds = gauge("How old the model snapshot may be")
    sigmapilot_orders_total = counter("Orders sent", "leg", "status")
    sigmapilot_open_positions = gauge("Own open positions")
    sigmapilot_equity_usd = gauge("Own account value")
    sigmapilot_kill_switch = gauge("1 if the kill switch is on, else 0")
    sigmapilot_outcomes_total = counter("Followed decisions that ended", "closed_reason")
    sigmapilot_canary_failures_total = counter("Positions of sampled traders that the feed does not explain")


class DatabaseMetrics(_Declared):
    """What stored rows say; built on a new registry at each scrape."""

    sigmapilot_db_up = gauge("1 if the database answered this scrape, else 0")
    sigmapilot_db_decisions_7d = gauge("Decisions of the last 7 days", "decision_type")
    sigmapilot_db_last_signal_age_seconds = gauge("Time since the newest signal")
    sigmapilot_db_fills_4h = gauge("Fills of tracked traders in the last 4 hours")
    sigmapilot_db_closed_outcomes_7d = gauge("Followed decisions that ended in the last 7 days")
    sigmapilot_db_win_rate_pct_7d = gauge("Ended with R above 0, percent of all ended in the last 7 days")
    sigmapilot_db_avg_result_r_7d = gauge("Average R after costs of what ended in the last 7 days")
    sigmapilot_db_effective_k_decisions_24h = gauge("Decisions of the last 24 hours that carry effective K")
    sigmapilot_db_effective_k_max_24h = gauge("Largest effective K of the last 24 hours")
    sigmapilot_db_effective_k_avg_24h = gauge("Average effective K of the last 24 hours")
    sigmapilot_db_pool_traders = gauge("Traders of the newest selection")
    sigmapilot_db_learning_traders = gauge("Eligible traders with enough effective episodes")
    sigmapilot_db_tracked_traders = gauge("Traders followed", "state")
    sigmapilot_db_snapshot_version = gauge("Version of the newest model snapshot")
    sigmapilot_db_snapshot_age_seconds = gauge("Age of the newest model snapshot")
    sigmapilot_db_snapshot_age_limit_seconds = gauge("How old the model snapshot may be")
    sigmapilot_db_stream_heartbeat_age_seconds = gauge("Time since the stream last wrote its heartbeat")
    sigmapilot_db_input_age_seconds = gauge("Age of an input", "input")
    sigmapilot_db_input_age_limit_seconds = gauge("How old an input may be", "input")
    sigmapilot_db_volatility_fallback = gauge("1 if the stop is not from the ATR, else 0", "asset", "source")
    sigmapilot_db_stop_fraction = gauge("Stop distance, fraction of the price", "asset")
    sigmapilot_db_correlation_measured_pairs = gauge("Measured pairs of the newest day")
    sigmapilot_db_rho0 = gauge("Correlation assumed of unmeasured pairs in the newest snapshot")
    sigmapilot_db_rho0_limit = gauge("Largest correlation that may be assumed")
    sigmapilot_db_dead_records_unresolved = gauge("Parked records that nobody resolved")
    sigmapilot_db_feed_gaps_unreconciled = gauge("Holes in the feed not yet reconciled")
    sigmapilot_db_feed_gaps_24h = gauge("Holes in the feed of the last 24 hours", "kind")
    sigmapilot_db_feed_share_present_24h = gauge(
        "Fills of sampled traders that the feed stored as the venue lists them"
    )
    sigmapilot_db_feed_compared_24h = gauge("Fills of sampled traders compared with the venue in the last 24 hours")
    sigmapilot_db_feed_faults_24h = gauge("Fills of sampled traders that were missed, wrong, extra or late", "fault")
    sigmapilot_db_feed_min_share = gauge("Least share of fills that the feed must have stored")
    sigmapilot_db_feed_sample_age_seconds = gauge("Time since the end of the newest completeness sample")
    sigmapilot_db_open_positions = gauge("Own open positions")
    sigmapilot_db_account_value_usd = gauge("Newest account value", "exchange")


class ApiMetrics(_Declared):
    """The HTTP API's own requests."""

    sigmapilot_api_requests_total = counter("Answered requests", "method", "route", "status")
    sigmapilot_api_request_seconds = histogram("Time to answer", "route", buckets=_SECONDS)
    sigmapilot_stream_metrics_up = gauge("1 if the stream's metrics could be read, else 0")


def describe() -> list[str]:
    """One line a metric, sorted."""
    return sorted(field.line() for group in (Metrics, DatabaseMetrics, ApiMetrics) for field in group.fields())


def add_process_metrics(registry: CollectorRegistry, namespace: str) -> None:
    """Memory, processor time and open files of this process as `<namespace>_process_*` (Linux; elsewhere none)."""
    ProcessCollector(namespace=namespace, registry=registry)
