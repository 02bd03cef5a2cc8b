"""What a recording says, in figures: everything that was found, chosen by nothing that happened afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sigmapilot_core.domain.evaluation.bootstrap import Interval, day_of, mean_interval
from sigmapilot_core.domain.evaluation.recorded import Result
from sigmapilot_core.domain.params import CorrelationParams
from sigmapilot_core.domain.traders import effective_k
from sigmapilot_core.domain.traders.correlation import default_rho, measured
from sigmapilot_core.domain.traders.learning import learn

SEED = 7


def summary(result: Result) -> dict[str, Any]:
    """Figures by name: input, episodes, posteriors, correlation, votes, gates, and agreements followed to their end."""
    of = result.recording
    return {
        "recording": of.name,
        "remarks": list(of.remarks),
        "input": {
            "fills": len(of.fills),
            "applied": result.fills,
            "traders": len({fill.user for fill in of.fills}),
            "coins": len({fill.coin for fill in of.fills}),
            "coins with candles": sum(bool(of.hourly.get(coin)) for coin in {fill.coin for fill in of.fills}),
            "from": _day(min(of.received_ms)),
            "to": _day(max(of.received_ms)),
            **of.left_out,
            "ledger gaps": result.gaps,
        },
        "episodes": _episodes(result),
        "posteriors": _posteriors(result),
        "correlation": _correlation(result),
        "decisions": {
            "votes": result.votes,
            "decisions": len(result.decisions),
            **Counter(decision.decision_type.value for decision in result.decisions),
            "most agreeing voters": max((decision.agreeing_count for decision in result.decisions), default=0),
        },
        "gates": {name: dict(counts) for name, counts in result.gate_verdicts().items()},
        "agreements": _agreements(result),
    }


def _episodes(result: Result) -> dict[str, Any]:
    learnable = result.learnable
    closed = [episode.closed_at_ms for episode in learnable]
    return {
        "closed": len(result.episodes),
        **{f"closed by {reason}": n for reason, n in Counter(e.closed_reason.value for e in result.episodes).items()},
        "with a gap": sum(episode.is_gap for episode in result.episodes),
        "first seen mid-life": sum(episode.first_seen_mid_life for episode in result.episodes),
        "learnt from": len(learnable),
        "mean gross R, clamped": _mean([e.r_gross for e in learnable], closed),
        "mean net R, clamped": _mean([e.result_r for e in learnable], closed),
        "below -2 R gross": sum((e.r_gross_unclamped or 0.0) < -2 for e in learnable),
    }


def _posteriors(result: Result) -> dict[str, Any]:
    """Of every trader with an episode to learn from, as of the last receipt."""
    as_of_ms = max(result.recording.received_ms) + 1
    users = sorted({episode.user for episode in result.learnable})
    learnt = [learn([e for e in result.episodes if e.user == user], as_of_ms) for user in users]
    return {
        "traders with evidence": len(learnt),
        "with 20 effective episodes": sum(one.n_eff >= 20 for one in learnt),
        "with a mean above 0": sum(one.posterior.m > 0 for one in learnt),
        "highest mean": max((one.posterior.m for one in learnt), default=None),
        "lowest mean": min((one.posterior.m for one in learnt), default=None),
        "most effective episodes": max((one.n_eff for one in learnt), default=None),
    }


def _correlation(result: Result) -> dict[str, Any]:
    """Of the last model; effective K is that of all traders with equal weights, unknown where too few are measured."""
    params = CorrelationParams()
    users = sorted({fill.user for fill in result.recording.fills})
    known = [value[0] for pair in result.pairs if (value := measured(pair, params)) is not None]
    rho0 = default_rho(result.pairs, params)
    of_all = effective_k.assess(users, [1.0] * len(users), effective_k.by_pair(result.pairs), rho0.value, params)
    return {
        "pairs": len(users) * (len(users) - 1) // 2,
        "measured": len(known),
        "mean measured rho": sum(known) / len(known) if known else None,
        "rho0": rho0.value,
        "effective K of everybody": of_all.value if of_all.is_known else None,
    }


def _agreements(result: Result) -> dict[str, Any]:
    ended = [(agreed.outcome, agreed.entry_ms) for agreed in result.agreed if agreed.outcome is not None]
    values = [outcome.result_r for outcome, _ in ended]
    return {
        "enough voters on one side": len(result.agreed),
        "ended within the record": len(ended),
        **{f"ended by {reason}": n for reason, n in Counter(o.reason.value for o, _ in ended).items()},
        "mean R after costs": _mean(values, [entry for _, entry in ended]),
        "days": len({entry // 86_400_000 for _, entry in ended}),
    }


def _mean(values: Sequence[float | None], times_ms: Sequence[int]) -> Interval:
    """With its interval over days; unknown values are left out."""
    rows = [(value, at) for value, at in zip(values, times_ms, strict=True) if value is not None]
    return mean_interval([value for value, _ in rows], day_of([at for _, at in rows]), SEED)


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"
