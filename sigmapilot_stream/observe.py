"""Counts what happened, under the metric names people know."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.consensus.record import Decision, DecisionType
from sigmapilot_core.domain.engine import outputs
from sigmapilot_stream.effects import Effects

_VERDICTS = {True: "pass", False: "fail", None: "unknown"}


class Observer:
    """Moves the metrics of the deciding process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, effects: Effects, seconds: float) -> None:
        """A batch is in the database."""
        m = self._metrics
        m.sigmapilot_batch_commit_seconds.observe(seconds)
        m.sigmapilot_trades_total.inc(len(effects.trades))
        for trade, received_ms in effects.trades[-1:]:
            m.sigmapilot_frame_lag_seconds.observe(max(0.0, (received_ms - trade.time_ms) / 1000))
        m.decide_fills_total.inc(len(effects.fills))
        m.decide_positions_opened_total.inc(len(effects.opened))
        for episode in effects.closed:
            m.decide_positions_closed_total.inc()
            if episode.result_r is not None:
                m.decide_position_pnl_r.observe(episode.result_r)
        for gap in effects.gaps:
            m.sigmapilot_feed_gaps_total.labels(gap.kind.value).inc()
        for dead in effects.dead:
            m.sigmapilot_dead_records_total.labels(dead.kind).inc()
        for outcome in effects.outcomes:
            m.sigmapilot_outcomes_total.labels(outcome.reason.value).inc()
        for made in effects.decisions:
            self._decision(made.decision, made.latency_ms)

    def heard(self, heard: Sequence[outputs.Output]) -> None:
        """Votes changed."""
        for output in heard:
            if isinstance(output, outputs.VoteChanged):
                self._metrics.sigmapilot_evaluations_total.labels(output.coin).inc()

    def _decision(self, decision: Decision, latency_ms: float | None) -> None:
        m = self._metrics
        m.sigmapilot_decisions_total.labels(decision.decision_type.value).inc()
        if latency_ms is not None:
            m.sigmapilot_decision_latency_seconds.observe(max(0.0, latency_ms / 1000))
        for gate in decision.gates:
            m.sigmapilot_gate_verdicts_total.labels(gate.name, _VERDICTS[gate.passed]).inc()
        if decision.effective_k is not None:
            m.decide_effk_value.observe(decision.effective_k)
        self._volatility(decision)
        self._weights(decision)
        if decision.decision_type is DecisionType.SIGNAL:
            m.decide_consensus_signals_total.inc()
            m.decide_signal_generated_total.labels(decision.asset, decision.direction.value).inc()
        elif decision.decision_type is DecisionType.RISK_REJECT:
            for check in decision.risk_checks:
                if check.passed is not True:
                    m.decide_signal_risk_rejected_total.labels(check.name).inc()
                    m.decide_safety_block_total.labels(check.name).inc()

    def _volatility(self, decision: Decision) -> None:
        if decision.volatility_source not in (None, "atr"):
            self._metrics.decide_atr_fallback_total.labels(decision.asset, decision.volatility_source).inc()
        if decision.gate("inputs_fresh").passed is not True:
            self._metrics.decide_atr_stale_total.labels(decision.asset).inc(0)

    def _weights(self, decision: Decision) -> None:
        weights = sorted(vote.weight for vote in decision.votes if vote.weight is not None)
        for weight in weights:
            self._metrics.decide_vote_weight.observe(weight)
        if weights:
            self._metrics.decide_vote_weight_max.set(weights[-1])
            self._metrics.decide_vote_weight_gini.set(gini(weights))


def gini(ascending: Sequence[float]) -> float:
    """(2 sum i x_i - (n + 1) sum x) / (n sum x), x ascending, i from 1; 0 when all weights are 0."""
    if any(a > b for a, b in pairwise(ascending)):
        raise ValueError("weights must be ascending")
    n, total = len(ascending), sum(ascending)
    if not n or total <= 0:
        return 0.0
    ranked = sum(i * x for i, x in enumerate(ascending, start=1))
    return (2 * ranked - (n + 1) * total) / (n * total)
