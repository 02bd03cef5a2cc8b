"""From the agreeing votes to K, p and EV: the inputs of one decision handed to the rules that stand elsewhere."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from sigmapilot_core.domain.consensus.expected_value import ExpectedValue, VoterEdge, at_cost, expected_value
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter, at_or_after, is_sane
from sigmapilot_core.domain.consensus.record import PublicVote
from sigmapilot_core.domain.consensus.votes import vote_weight
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.frozen import quick, remember
from sigmapilot_core.domain.market.costs import CostBreakdown, MarketQuote, round_trip_cost
from sigmapilot_core.domain.market.regime import Regime, stop_in_regime
from sigmapilot_core.domain.params import Params, RiskParams
from sigmapilot_core.domain.risk.kelly import position_share
from sigmapilot_core.domain.traders.effective_k import EffectiveK, PairMatrix, assess, by_pair
from sigmapilot_core.domain.traders.posterior import Posterior, Predictive, predictive

_MIN_ALPHA = 0.5  # at or below it the predictive has no mean


def regime_of(inputs: DecisionInputs) -> Regime:
    """The asset's regime; UNKNOWN, with its own effects, where there is no estimate."""
    return Regime.UNKNOWN if inputs.regime is None else inputs.regime.regime


def trade_stop_fraction(inputs: DecisionInputs) -> float | None:
    """Stop of the trade as a fraction of its price, the regime's factor included; None unless above zero."""
    if inputs.volatility is None or inputs.volatility.stop_fraction <= 0:
        return None
    return stop_in_regime(inputs.volatility.stop_fraction, regime_of(inputs))


@quick
@dataclass(frozen=True, slots=True)
class VoterFigures:
    """What follows from one vote under one set of parameters; None where posterior or notional are unknown."""

    weight: float | None
    edge: VoterEdge | None
    public: PublicVote


def figures_of(voter: Voter, params: Params) -> VoterFigures:
    """The vote's figures, remembered on the vote: it is looked at again with every other vote on its coin."""
    try:
        held: tuple[Params, VoterFigures] = voter._figures
        if held[0] is params:
            return held[1]
    except AttributeError:
        pass
    weight = vote_weight_of(voter, params)
    public = PublicVote(voter.direction, voter.voted_at_ms, voter.price, voter.notional, weight)
    figures = VoterFigures(weight, _edge(voter, params), public)
    remember(voter, "_figures", (params, figures))
    return figures


def posterior_of(voter: Voter) -> Posterior | None:
    """The voter's posterior; None where a parameter is unknown or outside its range."""
    m, kappa, alpha, beta = voter.m, voter.kappa, voter.alpha, voter.beta
    if m is None or kappa is None or alpha is None or beta is None:
        return None
    if kappa <= 0 or beta <= 0 or alpha <= _MIN_ALPHA:
        return None
    return Posterior(m, kappa, alpha, beta)


def vote_weight_of(voter: Voter, params: Params) -> float | None:
    """Weight of the vote in effective K; None where posterior or notional are unknown."""
    posterior = posterior_of(voter)
    if posterior is None or voter.notional is None or voter.notional < 0:
        return None
    return vote_weight(posterior.kappa, float(voter.notional), params.posterior)


def independent_votes(
    agreeing: tuple[Voter, ...], inputs: DecisionInputs, params: Params, measured: PairMatrix | None = None
) -> EffectiveK | None:
    """Effective K of the agreeing; None without any, or where a weight or rho0 is unknown.

    `measured` holds `inputs.pairs` and `inputs.rho0` ready for all who may vote; without it they are laid out here.
    """
    known = [weight for voter in agreeing if (weight := figures_of(voter, params).weight) is not None]
    if not agreeing or inputs.rho0 is None or len(known) < len(agreeing):
        return None
    addresses = [voter.address for voter in agreeing]
    if measured is not None:
        return measured.assess(addresses, known)
    return assess(addresses, known, by_pair(inputs.pairs), inputs.rho0, params.correlation)


def evidence_episodes(agreeing: tuple[Voter, ...], inputs: DecisionInputs) -> int:
    """Closed outcomes of our own, or episodes behind the agreeing voters' posteriors: the larger (spec 6.1)."""
    return max(inputs.n_outcomes, sum(voter.n_episodes for voter in agreeing))


def value_of(
    agreeing: tuple[Voter, ...],
    direction: Direction,
    k: EffectiveK | None,
    trade_stop: float | None,
    inputs: DecisionInputs,
    params: Params,
) -> tuple[ExpectedValue | None, CostBreakdown | None]:
    """(estimate, cost of the intended size); the estimate is None where a voter, K or the calibration is unknown."""
    if direction is Direction.NONE or k is None or inputs.calibration is None:
        return None, None
    edges = [edge for voter in agreeing if (edge := figures_of(voter, params).edge) is not None]
    if len(edges) < len(agreeing):
        return None, None
    before_cost = expected_value(
        edges,
        k.value,
        cost_bps=None,
        stop_fraction=trade_stop,
        maps=inputs.calibration,
        params=params.probability,
        posterior=params.posterior,
    )
    notional = _intended_notional(before_cost, agreeing, trade_stop, inputs, params)
    cost = None if notional is None else _cost(direction, notional, inputs, params)
    if cost is not None and cost.total_bps is not None:
        return at_cost(before_cost, cost.total_bps), cost
    if before_cost.gross_r is None or before_cost.stop_bps is None:
        return before_cost, cost
    return replace(before_cost, reason=_why_no_cost(cost)), cost


def _edge(voter: Voter, params: Params) -> VoterEdge | None:
    posterior = posterior_of(voter)
    if posterior is None:
        return None
    ahead = _predictive(posterior, params.episodes.r_clamp)
    return VoterEdge(ahead.p_win, ahead.mean_win, ahead.mean_loss, posterior.kappa)


@functools.lru_cache(maxsize=4096)
def _predictive(posterior: Posterior, limit: float) -> Predictive:
    """Remembered: the posteriors of a pool change once a minute at most, decisions come many times a second."""
    return predictive(posterior, limit)


def _intended_notional(
    before_cost: ExpectedValue,
    agreeing: tuple[Voter, ...],
    trade_stop: float | None,
    inputs: DecisionInputs,
    params: Params,
) -> float | None:
    """Notional whose cost is estimated: what the size rule would ask for if trading cost nothing, up to the position
    limit; that limit where the rule asks for nothing. None without a known equity.
    """
    account = inputs.risk.account if inputs.risk is not None else None
    equity = account.equity_usd if account is not None else None
    if equity is None or equity <= 0:
        return None
    limit = equity * _position_limit(params.risk)
    share = position_share(
        p_win=before_cost.p_win, win_r=before_cost.win_r, loss_r=before_cost.loss_r, net_ev_r=before_cost.gross_r,
        stop_fraction=trade_stop, regime=regime_of(inputs), evidence_episodes=evidence_episodes(agreeing, inputs),
        kelly=params.kelly, risk=params.risk,
    )  # fmt: skip
    return min(limit, share.position_fraction * equity) if share.position_fraction else limit


def _position_limit(risk: RiskParams) -> float:
    return min(risk.max_position_pct, risk.hard_max_position_pct)


def _cost(direction: Direction, notional: float, inputs: DecisionInputs, params: Params) -> CostBreakdown | None:
    """None without a holding time; a book with a price or size of zero is no book."""
    if inputs.hold is None or notional <= 0 or inputs.hold.hours < 0:
        return None
    book = inputs.book if inputs.book is not None and is_sane(inputs.book) else None
    return round_trip_cost(
        MarketQuote(inputs.asset, book, inputs.is_book_subscribed, inputs.funding_rate_hourly),
        direction,
        notional,
        inputs.hold.hours,
        inputs.now_ms if book is None else at_or_after(inputs.now_ms, book.received_ms),
        params.costs,
        max_book_age_s=params.freshness.book_s,
        taker_fee_bps=inputs.taker_fee_bps,
    )


def _why_no_cost(cost: CostBreakdown | None) -> str:
    if cost is None:
        return "equity or holding time is not known, so the cost of the intended size is not known either"
    return cost.reason or "cost is not known"
