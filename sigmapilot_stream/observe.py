"""Counts what happened, under the metric names people know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.consensus.freshness import input_states
from sigmapilot_core.domain.consensus.gates import verdict_of
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.record import Decision, DecisionType
from sigmapilot_core.domain.consensus.votes import NOTIONAL_LOG_CAP, NOTIONAL_SCALE_USD
from sigmapilot_core.domain.engine import outputs
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.volatility import VolatilitySource
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.domain.traders.correlation import measured
from sigmapilot_stream.effects import Effects, Written

SATURATED_USD = NOTIONAL_SCALE_USD * (math.exp(NOTIONAL_LOG_CAP) - 1)
"""Notional from which a larger vote weighs no more (spec 2)."""


class Observer:
    """Moves the metrics of the deciding process with every batch and every snapshot."""

    def __init__(self, metrics: Metrics, params: Params) -> None:
        self._metrics = metrics
        self._params = params

    def committed(self, effects: Effects, written: Written, seconds: float) -> None:
        """A batch is in the database; what was stored before does not count again."""
        m = self._metrics
        m.sigmapilot_batch_commit_seconds.observe(seconds)
        m.sigmapilot_trades_total.inc(written.trades)
        m.decide_fills_total.inc(written.fills)
        for trade, received_ms in effects.trades[-1:]:
            m.sigmapilot_frame_lag_seconds.observe(max(0.0, (received_ms - trade.time_ms) / 1000))
        for episode in effects.closed:
            m.decide_positions_closed_total.inc()
            if episode.result_r is not None:
                m.decide_position_pnl_r.observe(episode.result_r)
        for gap in effects.gaps:
            m.sigmapilot_feed_gaps_total.labels(gap.kind.value).inc()
            if gap.kind is outputs.GapKind.LEDGER:
                m.sigmapilot_canary_failures_total.inc()
        for dead in effects.dead:
            m.sigmapilot_dead_records_total.labels(dead.kind).inc()
        for outcome in effects.outcomes:
            m.sigmapilot_outcomes_total.labels(outcome.reason.value).inc()
        for made in effects.decisions:
            if made.decision.id in written.decisions:
                self._decided(made.decision, made.latency_ms)
                self._inputs(made.inputs)

    def heard(self, heard: Sequence[outputs.Output]) -> None:
        """What the engine said, whether or not it is written."""
        for output in heard:
            if isinstance(output, outputs.VoteChanged):
                self._metrics.sigmapilot_evaluations_total.labels(output.coin).inc()
            elif isinstance(output, outputs.EpisodeOpened):
                self._metrics.decide_positions_opened_total.inc()

    def activated(self, snapshot: ModelSnapshot, scores: int, candidates: int, now_ms: int) -> None:
        """A snapshot is in force: so many scores and new candidates were told."""
        m, pool = self._metrics, len(snapshot.slow.pool)
        possible = pool * (pool - 1) / 2
        rules = self._params.correlation
        known = [found for pair in snapshot.slow.pairs if (found := measured(pair, rules)) is not None]
        shares = [n / (n + rules.shrinkage_buckets) for _, n in known]
        m.sage_scores_total.inc(scores)
        m.sage_candidates_total.inc(candidates)
        m.sage_score_latency_seconds.observe(max(0.0, (now_ms - snapshot.published_at_ms) / 1000))
        m.decide_correlation_pool_size.set(pool)
        m.decide_correlation_pairs_loaded.set(len(known))
        m.decide_correlation_coverage_pct.set(100 * len(known) / possible if possible else 0)
        m.decide_correlation_decay_factor.set(sum(shares) / len(shares) if shares else 0)

    def _decided(self, decision: Decision, latency_ms: float | None) -> None:
        m = self._metrics
        m.sigmapilot_decisions_total.labels(decision.decision_type.value).inc()
        if latency_ms is not None:
            m.sigmapilot_decision_latency_seconds.observe(max(0.0, latency_ms / 1000))
        for gate in decision.gates:
            m.sigmapilot_gate_verdicts_total.labels(gate.name, verdict_of(gate.passed).value).inc()
        if decision.effective_k is not None:
            m.decide_effk_value.observe(decision.effective_k)
        self._weights(decision)
        if decision.decision_type is DecisionType.SIGNAL:
            m.decide_consensus_signals_total.inc()
            m.decide_signal_generated_total.labels(decision.asset, decision.direction.value).inc()
        elif decision.decision_type is DecisionType.RISK_REJECT:
            for check in decision.risk_checks:
                if check.passed is not True:
                    m.decide_signal_risk_rejected_total.labels(check.name).inc()
                    m.decide_safety_block_total.labels(check.name).inc()

    def _inputs(self, inputs: DecisionInputs) -> None:
        """Inputs that were unknown or too old, and what stood in for them."""
        m, coin = self._metrics, inputs.asset
        states = input_states(inputs, self._params)
        for state in states:
            if state.passed is None:
                m.sigmapilot_input_unknown_total.labels(state.name).inc()
        refused = [state for state in states if state.name.startswith("volatility") and state.passed is not True]
        if refused:
            m.decide_atr_blocked_total.labels(coin).inc()
        if any(state.age_s is not None for state in refused):
            m.decide_atr_stale_total.labels(coin).inc()
        if inputs.volatility is not None and inputs.volatility.source is not VolatilitySource.ATR:
            m.decide_atr_fallback_total.labels(coin, inputs.volatility.source.value).inc()
        longs = sum(voter.direction is Direction.LONG for voter in inputs.voters)
        agreeing = max(longs, len(inputs.voters) - longs)
        known = sum(measured(pair, self._params.correlation) is not None for pair in inputs.pairs)
        m.decide_correlation_default_used_total.inc(max(0, agreeing * (agreeing - 1) // 2 - known))
        m.decide_effk_default_fallback_total.inc(int(agreeing > 1 and not known))

    def _weights(self, decision: Decision) -> None:
        m = self._metrics
        weights = sorted(vote.weight for vote in decision.votes if vote.weight is not None)
        for weight in weights:
            m.decide_vote_weight.observe(weight)
        if weights:
            m.decide_vote_weight_max.set(weights[-1])
            m.decide_vote_weight_gini.set(gini(weights))
        sizes = [vote.notional_usd for vote in decision.votes if vote.notional_usd is not None]
        if sizes:
            saturated = sum(float(size) >= SATURATED_USD for size in sizes)
            m.decide_vote_weight_saturation_pct.set(100 * saturated / len(sizes))
            m.decide_vote_weight_saturated_total.labels(decision.asset).inc(saturated)


def gini(ascending: Sequence[float]) -> float:
    """(2 sum i x_i - (n + 1) sum x) / (n sum x), x ascending, i from 1; 0 when all weights are 0.

    Errors: ValueError for weights that do not ascend.
    """
    if any(a > b for a, b in pairwise(ascending)):
        raise ValueError("weights must be ascending")
    n, total = len(ascending), sum(ascending)
    if not n or total <= 0:
        return 0.0
    ranked = sum(i * x for i, x in enumerate(ascending, start=1))
    return (2 * ranked - (n + 1) * total) / (n * total)
