"""An assessment in two to four sentences, with the numbers and what would have had to be different (spec 4.3).

The text names no trader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sigmapilot_core.domain.consensus.gates import GateResult
from sigmapilot_core.domain.consensus.record import Assessment, DecisionType
from sigmapilot_core.domain.events import Direction

_MAX_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class _Wording:
    """How a gate is spoken of: a share is shown as a percentage; `is_floor` when the value must reach the threshold."""

    noun: str
    unit: str
    decimals: int
    is_floor: bool
    wanted: str
    scale: float = 1.0


_WORDS = {
    "min_traders": _Wording("agreeing traders", "", 0, True, "at least {} agreeing traders"),
    "supermajority": _Wording("agreement", " %", 0, True, "an agreement of at least {}", 100.0),
    "effective_k": _Wording("effective K", "", 2, True, "an effective K of at least {}"),
    "freshness": _Wording("age of the oldest vote", " s", 0, False, "an oldest vote of at most {}"),
    "price_band": _Wording("price drift", " R", 2, False, "a price drift of at most {}"),
    "ev_gate": _Wording("net EV", " R", 2, True, "a net EV of at least {}"),
}


def explain(assessment: Assessment) -> str:
    """Two to four sentences about a signal, a skip or a risk reject."""
    return " ".join(_WRITERS[assessment.decision_type](assessment))


def _skip(assessment: Assessment) -> list[str]:
    bad = [result for result in assessment.gates if result.passed is not True]
    failed = [_failure(result) for result in bad if result.passed is False]
    sentences = ["Skipped: " + "; ".join([_acts(assessment), *failed]) + "."]
    unknown = [f"{_noun(result)} ({_because(result)})" for result in bad if result.passed is None]
    if unknown:
        sentences.append("Not known: " + "; ".join(unknown) + ".")
    wanted = [_wanted(result) for result in bad]
    sentences.append("It would have been a candidate with " + _listed(wanted) + ".")
    return sentences


def _signal(assessment: Assessment) -> list[str]:
    return [f"Signal: {_acts(assessment)}; {_strength(assessment)}.", _worth(assessment), _order(assessment),
            _nearest(assessment)]  # fmt: skip


def _risk_reject(assessment: Assessment) -> list[str]:
    bad = [result for result in assessment.risk_checks if result.passed is not True]
    blocked = "; ".join(f"{result.name.replace('_', ' ')} ({result.detail})" for result in bad)
    return [
        f"Rejected by risk: {_acts(assessment)} and all gates passed; {_strength(assessment)}.",
        _worth(assessment),
        f"Blocked by {blocked}.",
        "Without " + ("this block" if len(bad) == 1 else f"these {len(bad)} blocks") + " it would have been a signal.",
    ]


def _acts(assessment: Assessment) -> str:
    """Who did what: `4 of 5 traders bought BTC within 95 s`."""
    n, agreeing = assessment.trader_count, assessment.agreeing_count
    if assessment.direction is Direction.NONE:
        who = f"{agreeing} traders bought and {agreeing} sold" if n else "nobody traded"
    else:
        verb = "bought" if assessment.direction is Direction.LONG else "sold"
        who = f"{_traders(agreeing)} {verb}" if n == agreeing else f"{agreeing} of {_traders(n)} {verb}"
    votes = [vote.voted_at_ms for vote in assessment.votes]
    within = f" within {(max(votes) - min(votes)) / 1000:.0f} s" if len(votes) > 1 else ""
    return f"{who} {assessment.asset}{within}"


def _strength(assessment: Assessment) -> str:
    share = assessment.agreement_pct
    agreement = "unknown" if share is None else f"{100 * share:.0f} %"
    return f"agreement {agreement}, worth {_number(assessment.effective_k)} independent votes"


def _worth(assessment: Assessment) -> str:
    ev = assessment.ev
    if ev is None:
        return "The estimate is not known."
    return (
        f"p {_number(ev.p_win)}, gross EV {_number(ev.gross_r)} R less cost {_number(ev.cost_r)} R leaves "
        f"{_number(ev.net_r)} R."
    )


def _order(assessment: Assessment) -> str:
    size = assessment.size
    limited = f", limited by {size.binding_cap.replace('_', ' ')}" if size.binding_cap else ""
    notional = "of unknown size" if size.notional_usd is None else f"for {size.notional_usd:.0f} USD{limited}"
    return (
        f"{assessment.direction.value.capitalize()} at {_price(assessment.mid)} {notional}, stop "
        f"{_price(assessment.stop_price)}, take-profit {_price(assessment.take_profit_price)}."
    )


def _nearest(assessment: Assessment) -> str:
    """The gate with the least room: what would have turned the signal into a skip first."""
    measured = [r for r in assessment.gates if r.name in _WORDS and r.value is not None and r.threshold]
    if not measured:
        return "No gate can say how much room it had."
    result = min(measured, key=_room)
    words = _WORDS[result.name]
    value, limit = _shown(result, words)
    side = "below" if words.is_floor else "above"
    return (
        f"The least room had {words.noun} ({value}{words.unit}): {side} {limit}{words.unit} it would have been a skip."
    )


def _room(result: GateResult) -> float:
    """Distance from the threshold as a share of it."""
    assert result.value is not None
    assert result.threshold
    return abs(result.value - result.threshold) / abs(result.threshold)


def _failure(result: GateResult) -> str:
    """`agreement 67 % is below 70 %`."""
    words = _WORDS.get(result.name)
    if words is None or result.value is None or result.threshold is None:
        return f"{_noun(result)} failed ({result.detail})"
    value, limit = _shown(result, words)
    side = "below" if words.is_floor else "above"
    if result.name == "min_traders":
        return f"only {value} agree where {limit} are needed"
    if value == limit:  # a tie of three against three fails at any threshold up to one half
        return f"{words.noun} {value}{words.unit} leaves no direction"
    return f"{words.noun} {value}{words.unit} is {side} {limit}{words.unit}"


def _wanted(result: GateResult) -> str:
    words = _WORDS.get(result.name)
    if words is None or result.threshold is None:
        return "every input known and within its limit"
    return words.wanted.format(f"{words.scale * result.threshold:.{words.decimals}f}{words.unit}")


def _shown(result: GateResult, words: _Wording) -> tuple[str, str]:
    """Value and threshold with as many decimals as it takes to tell them apart."""
    assert result.value is not None
    assert result.threshold is not None
    for decimals in range(words.decimals, _MAX_DECIMALS + 1):
        value = f"{words.scale * result.value:.{decimals}f}"
        limit = f"{words.scale * result.threshold:.{decimals}f}"
        if value != limit:
            break
    else:
        value = limit = f"{words.scale * result.threshold:.{words.decimals}f}"
    return value, limit


def _noun(result: GateResult) -> str:
    words = _WORDS.get(result.name)
    return "the age of the inputs" if words is None else words.noun


def _because(result: GateResult) -> str:
    return result.detail.removeprefix("unknown: ")


def _traders(n: int) -> str:
    return "1 trader" if n == 1 else f"{n} traders"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _price(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


_WRITERS: dict[DecisionType, Callable[[Assessment], list[str]]] = {
    DecisionType.SIGNAL: _signal,
    DecisionType.SKIP: _skip,
    DecisionType.RISK_REJECT: _risk_reject,
}
