"""A decision laid open for an auditor: voters by pseudonym, their records and correlations, gates, EV, what if.

Everything follows from the stored inputs and the settings of the snapshot; no address leaves this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from sigmapilot_core.domain.consensus import gates
from sigmapilot_core.domain.consensus.counterfactual import Counterfactual, counterfactuals
from sigmapilot_core.domain.consensus.decision import decide
from sigmapilot_core.domain.consensus.estimate import figures_of, posterior_of
from sigmapilot_core.domain.consensus.gates import GateResult
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.record import Decision
from sigmapilot_core.domain.consensus.waterfall import WaterfallStep, waterfall
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.correlation import measured, used_rho
from sigmapilot_core.domain.traders.effective_k import by_pair
from sigmapilot_core.domain.traders.posterior import n_eff, weight
from sigmapilot_core.domain.traders.pseudonym import pseudonym


@dataclass(frozen=True, slots=True)
class ExplainedVoter:
    """One vote and the record behind it; None is unknown.

    `mean_r`, `kappa`, `alpha`, `beta` are the posterior, `n_eff` its discounted episodes, `record_weight` = k/(k+10),
    `vote_weight` that of the vote in effective K; `p_win`, `gain_r`, `loss_r` what its predictive says of the next R.
    """

    label: str
    direction: Direction
    is_agreeing: bool
    age_s: float
    price: float | None
    notional_usd: float | None
    n_episodes: int
    n_eff: float | None
    mean_r: float | None
    kappa: float | None
    alpha: float | None
    beta: float | None
    record_weight: float | None
    vote_weight: float | None
    p_win: float | None
    gain_r: float | None
    loss_r: float | None


@dataclass(frozen=True, slots=True)
class ExplainedPair:
    """Two who agree: the measured correlation (None: unmeasured), buckets behind it, and the value that was used."""

    label_a: str
    label_b: str
    rho: float | None
    n_buckets: int
    n_common: int
    rho_used: float | None


@dataclass(frozen=True, slots=True)
class ExplainedCheck:
    """A gate or risk check; `margin` is the distance from its threshold, positive on the passing side, None if unknown
    or of a risk check."""

    name: str
    verdict: str
    value: float | None
    threshold: float | None
    margin: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of one decision. `waterfall` is empty and `ev_reason` says why where nothing could be estimated."""

    decision_id: str
    asset: str
    direction: Direction
    decision_type: str
    reasoning: str
    effective_k: float | None
    measured_share: float | None
    rho0: float | None
    p_win: float | None
    ev_min_r: float
    voters: tuple[ExplainedVoter, ...]
    pairs: tuple[ExplainedPair, ...]
    gates: tuple[ExplainedCheck, ...]
    risk_checks: tuple[ExplainedCheck, ...]
    waterfall: tuple[WaterfallStep, ...]
    ev_reason: str | None
    counterfactuals: tuple[Counterfactual, ...]


def explanation(inputs: DecisionInputs, params: Params) -> Explanation:
    """Decide again and lay it open. Errors: ValueError for other settings than those the inputs were decided with."""
    decision = decide(inputs, params)
    agreeing = tuple(voter for voter in inputs.voters if voter.direction is decision.direction)
    edges = [edge for voter in agreeing if (edge := figures_of(voter, params).edge) is not None]
    return Explanation(
        decision_id=decision.id,
        asset=decision.asset,
        direction=decision.direction,
        decision_type=decision.decision_type.value,
        reasoning=decision.reasoning,
        effective_k=decision.effective_k,
        measured_share=decision.measured_share,
        rho0=inputs.rho0,
        p_win=None if decision.ev is None else decision.ev.p_win,
        ev_min_r=params.consensus.ev_min_r,
        voters=tuple(_voter(voter, decision, params) for voter in inputs.voters),
        pairs=_pairs(agreeing, inputs, params),
        gates=tuple(_check(result, with_margin=True) for result in decision.gates),
        risk_checks=tuple(_check(result, with_margin=False) for result in decision.risk_checks),
        waterfall=waterfall(decision.ev, decision.cost, edges, params),
        ev_reason=_why_no_ev(decision),
        counterfactuals=counterfactuals(inputs, params),
    )


def _voter(voter: Voter, decision: Decision, params: Params) -> ExplainedVoter:
    posterior, figures = posterior_of(voter), figures_of(voter, params)
    edge = figures.edge
    return ExplainedVoter(
        label=pseudonym(voter.address),
        direction=voter.direction,
        is_agreeing=voter.direction is decision.direction,
        age_s=(decision.decided_at_ms - voter.voted_at_ms) / 1000,
        price=None if voter.price is None else float(voter.price),
        notional_usd=None if voter.notional is None else float(voter.notional),
        n_episodes=voter.n_episodes,
        n_eff=None if posterior is None else n_eff(posterior, params.posterior),
        mean_r=voter.m,
        kappa=voter.kappa,
        alpha=voter.alpha,
        beta=voter.beta,
        record_weight=None if posterior is None else weight(posterior.kappa, params.posterior),
        vote_weight=figures.weight,
        p_win=None if edge is None else edge.p_win,
        gain_r=None if edge is None else edge.gain_r,
        loss_r=None if edge is None else edge.loss_r,
    )


def _pairs(agreeing: tuple[Voter, ...], inputs: DecisionInputs, params: Params) -> tuple[ExplainedPair, ...]:
    held, names = by_pair(inputs.pairs), sorted(voter.address for voter in agreeing)
    found = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            pair = held.get((a, b))
            value = measured(pair, params.correlation)
            used = None if inputs.rho0 is None else used_rho(pair, inputs.rho0, params.correlation)
            found.append(
                ExplainedPair(
                    pseudonym(a),
                    pseudonym(b),
                    None if value is None else value[0],
                    0 if pair is None else pair.n_buckets,
                    0 if pair is None else pair.n_common,
                    used,
                )
            )
    return tuple(found)


def _check(result: GateResult, *, with_margin: bool) -> ExplainedCheck:
    margin = gates.margin(result.name, result.value, result.threshold) if with_margin else None
    return ExplainedCheck(result.name, result.verdict.value, result.value, result.threshold, margin, result.detail)


def _why_no_ev(decision: Decision) -> str | None:
    if decision.ev is None:
        return "there is no direction, or a voter's record, a correlation or the calibration is not known"
    return decision.ev.reason
