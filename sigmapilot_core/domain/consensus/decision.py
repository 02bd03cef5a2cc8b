"""The decision on one asset: a pure function of its inputs and the parameters (spec 3, 4, 6.1).

R is a multiple of the risk of this trade: mid x the stop fraction with the regime's factor. The same stop gives the
stop price, the cost in R, the price band and the size.
"""

from __future__ import annotations

import json
from operator import attrgetter

from sigmapilot_core.domain.canonical import field_names, sha256_of, uuid_of_text
from sigmapilot_core.domain.consensus import estimate, gates
from sigmapilot_core.domain.consensus.expected_value import ExpectedValue
from sigmapilot_core.domain.consensus.freshness import inputs_fresh
from sigmapilot_core.domain.consensus.gates import GateResult
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter, at_or_after, without_unknowns
from sigmapilot_core.domain.consensus.outcome import stop_price, take_profit_price
from sigmapilot_core.domain.consensus.reasoning import explain
from sigmapilot_core.domain.consensus.record import Assessment, Decision, DecisionType
from sigmapilot_core.domain.consensus.votes import life_ms
from sigmapilot_core.domain.events import Direction, Verdict
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.risk.governor import EntryAssessment, assess_entry
from sigmapilot_core.domain.risk.state import EntryIntent, RiskState
from sigmapilot_core.domain.snapshot import settings_hash
from sigmapilot_core.domain.traders.effective_k import EffectiveK, PairMatrix

_COLUMNS = field_names(Assessment)
_CONTENTS = attrgetter(*_COLUMNS)
_PASSED = {Verdict.PASS: True, Verdict.FAIL: False, Verdict.UNKNOWN: None}


def decide(inputs: DecisionInputs, params: Params) -> Decision:
    """Assess and seal. The same inputs and parameters give the same record, byte for byte.

    Errors: ValueError when the parameters are not the ones whose hash the inputs carry.
    """
    inputs = without_unknowns(inputs)
    if inputs.settings_hash != (found := settings_hash(params)):
        raise ValueError(f"settings_hash is {inputs.settings_hash!r}, but the parameters have {found!r}")
    return seal(inputs, assess(inputs, params))


def seal(inputs: DecisionInputs, assessment: Assessment) -> Decision:
    """The decision with its id and reasoning; `inputs` must be those of the assessment, already without unknowns."""
    values = dict(zip(_COLUMNS, _CONTENTS(assessment), strict=True))
    return Decision(**values, id=uuid_of_text(inputs.to_json()), reasoning=explain(assessment))


def recompute(inputs_json: str, params: Params) -> str:
    """The record's text again, from stored inputs and the settings of the snapshot they name.

    Errors: ValueError for inputs that do not parse, and for other parameters than those the decision was made with.
    """
    return decide(DecisionInputs.from_json(inputs_json), params).to_json()


def decision_key(inputs: DecisionInputs, assessment: Assessment) -> str:
    """What must change for a new record: asset, direction, voters and verdicts (of the risk checks unless skipped)."""
    return _key(
        inputs,
        assessment.direction.value,
        assessment.decision_type.value,
        [result.passed for result in assessment.gates],
        [result.passed for result in assessment.risk_checks],
    )


def stored_key(inputs: DecisionInputs, record: str) -> str:
    """The same key from a stored record: how a restart goes on. Errors: ValueError or KeyError for no record."""
    held = json.loads(record)
    verdicts = ([result["passed"] for result in held[name]] for name in ("gates", "risk_checks"))
    return _key(inputs, held["direction"], held["decision_type"], *verdicts)


def should_write(previous_key: str | None, inputs: DecisionInputs, assessment: Assessment) -> bool:
    """Whether the assessment differs from what was last written for the asset."""
    return previous_key != decision_key(inputs, assessment)


def _key(
    inputs: DecisionInputs, direction: str, decision_type: str, gate: list[bool | None], risk: list[bool | None]
) -> str:
    return sha256_of(
        {
            "asset": inputs.asset,
            "direction": direction,
            "voters": sorted((voter.address, voter.direction.value) for voter in inputs.voters),
            "type": decision_type,
            "gates": gate,
            "risk": [] if decision_type == DecisionType.SKIP.value else risk,
        }
    )


def assess(inputs: DecisionInputs, params: Params, measured: PairMatrix | None = None) -> Assessment:
    """All gates, the estimate, size and risk checks; `inputs` hold no number that is not finite.

    `measured` is a faster form of `inputs.pairs` with `inputs.rho0`: the same correlations, the same result.
    """
    longs = tuple(voter for voter in inputs.voters if voter.direction is Direction.LONG)
    shorts = tuple(voter for voter in inputs.voters if voter.direction is Direction.SHORT)
    direction = gates.direction_of(len(longs), len(shorts))
    agreeing = {Direction.LONG: longs, Direction.SHORT: shorts, Direction.NONE: ()}[direction]
    n_agreeing = max(len(longs), len(shorts))
    k = estimate.independent_votes(agreeing, inputs, params, measured)
    trade_stop = estimate.trade_stop_fraction(inputs)
    ev, cost = estimate.value_of(agreeing, direction, k, trade_stop, inputs, params)
    median = gates.median_price([voter.price for voter in agreeing])
    mid = inputs.mid
    results = _gates(inputs, params, agreeing, n_agreeing, k, ev, median, trade_stop)
    entry = _entry(inputs, params, direction, agreeing, ev, trade_stop)
    decision_type = _type(results, entry)
    is_priced = mid is not None and mid > 0 and trade_stop is not None and direction is not Direction.NONE
    return Assessment(
        asset=inputs.asset,
        direction=direction,
        decision_type=decision_type,
        decided_at_ms=inputs.now_ms,
        mode=inputs.mode,
        snapshot_version=inputs.snapshot_version,
        snapshot_hash=inputs.snapshot_hash,
        settings_hash=inputs.settings_hash,
        trigger_event_id=inputs.trigger_event_id,
        trader_count=len(inputs.voters),
        agreeing_count=n_agreeing,
        agreement_pct=n_agreeing / len(inputs.voters) if inputs.voters else None,
        effective_k=None if k is None else k.value,
        measured_share=None if k is None else k.measured_share,
        votes=tuple([estimate.figures_of(voter, params).public for voter in inputs.voters]),
        mid=mid,
        median_vote_price=median,
        price_drift_bps=(mid - median) / median * gates.BPS if mid is not None and median else None,
        regime=estimate.regime_of(inputs),
        volatility_source=None if inputs.volatility is None else inputs.volatility.source.value,
        stop_fraction=None if inputs.volatility is None else inputs.volatility.stop_fraction,
        trade_stop_fraction=trade_stop,
        stop_price=stop_price(mid, direction, trade_stop) if is_priced else None,  # type: ignore[arg-type]
        take_profit_price=take_profit_price(mid, direction, trade_stop, params.outcome) if is_priced else None,  # type: ignore[arg-type]
        ev=ev,
        cost=cost,
        size=entry.size,
        gates=results,
        risk_checks=tuple(
            [
                GateResult(check.name, _passed(check.verdict), check.value, check.threshold, check.detail)
                for check in entry.checks
            ]
        ),
    )


def _gates(
    inputs: DecisionInputs,
    params: Params,
    agreeing: tuple[Voter, ...],
    n_agreeing: int,
    k: EffectiveK | None,
    ev: ExpectedValue | None,
    median: float | None,
    trade_stop: float | None,
) -> tuple[GateResult, ...]:
    percentile = None if inputs.volatility is None else inputs.volatility.percentile
    oldest = min((voter.voted_at_ms for voter in agreeing), default=None)
    rules = params.consensus
    return (
        inputs_fresh(inputs, params),
        gates.min_traders(n_agreeing, rules),
        gates.supermajority(n_agreeing, len(inputs.voters), rules),
        gates.effective_k(k, rules),
        gates.freshness(
            None if oldest is None else (inputs.now_ms - oldest) / 1000, life_ms(percentile, rules) / 1000, rules
        ),
        gates.price_band(inputs.mid, median, trade_stop, rules),
        gates.ev_gate(None if ev is None else ev.net_r, "no estimate" if ev is None else ev.reason, rules),
    )


def _entry(
    inputs: DecisionInputs,
    params: Params,
    direction: Direction,
    agreeing: tuple[Voter, ...],
    ev: ExpectedValue | None,
    trade_stop: float | None,
) -> EntryAssessment:
    """The entry that would be made, sized and checked; also of a skip, whose checks the record then shows."""
    intent = EntryIntent(
        coin=inputs.asset,
        direction=direction,
        p_win=None if ev is None else ev.p_win,
        net_ev_r=None if ev is None else ev.net_r,
        win_r=None if ev is None else ev.win_r,
        loss_r=None if ev is None else ev.loss_r,
        stop_fraction=trade_stop,
        regime=estimate.regime_of(inputs),
        evidence_episodes=estimate.evidence_episodes(agreeing, inputs),
    )
    state = inputs.risk or RiskState()
    now_ms = inputs.now_ms if state.account is None else at_or_after(inputs.now_ms, state.account.as_of_ms)
    return assess_entry(state, intent, params, now_ms)


def _type(results: tuple[GateResult, ...], entry: EntryAssessment) -> DecisionType:
    if not all(result.passed is True for result in results):
        return DecisionType.SKIP
    return DecisionType.SIGNAL if entry.is_allowed else DecisionType.RISK_REJECT


def _passed(verdict: Verdict) -> bool | None:
    return _PASSED[verdict]
