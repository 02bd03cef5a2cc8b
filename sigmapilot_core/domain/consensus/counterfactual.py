"""What would have had to be different: for each gate that did not pass, the nearest change that lets it pass.

Nothing is computed here that decides: a change is put into the inputs and `assess` decides anew, until the smallest
change is found at which the gate passes. Each answer says what the whole decision would then have been.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from sigmapilot_core.domain.consensus import estimate, renewed
from sigmapilot_core.domain.consensus.decision import assess
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.record import Assessment
from sigmapilot_core.domain.consensus.votes import life_ms
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.correlation import PairCorrelation, measured
from sigmapilot_core.domain.traders.effective_k import by_pair

MOST_VOTERS = 20
_HALVINGS = 24
_LARGEST_MEAN_R = 2.0
_MANY_BUCKETS = 1_000_000


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """One change. `amount` is its size in `unit`; `then` is the type of the decision with it, `not_passed` the gates
    and risk checks that would still have been in the way. `is_proven` is False where no change of what is known helps.
    """

    gate: str
    sentence: str
    amount: float | None
    unit: str
    is_proven: bool
    then: str
    not_passed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A decision under question."""

    inputs: DecisionInputs
    params: Params
    made: Assessment

    @property
    def agreeing(self) -> tuple[Voter, ...]:
        """Voters of the direction; on a tie those who bought."""
        side = Direction.LONG if self.made.direction is Direction.NONE else self.made.direction
        return tuple(voter for voter in self.inputs.voters if voter.direction is side)

    def passes(self, gate: str, changed: DecisionInputs) -> bool:
        """Whether the gate passes on these inputs."""
        return assess(changed, self.params).gate(gate).passed is True

    def told(
        self, gate: str, changed: DecisionInputs, sentence: str, amount: float | None, unit: str
    ) -> Counterfactual:
        """The change as an answer, with what would then have been decided."""
        then = assess(changed, self.params)
        checks = then.gates if not then.passed_gates else then.risk_checks
        left = tuple(result.name for result in checks if result.passed is not True)
        is_proven = then.gate(gate).passed is True
        return Counterfactual(gate, sentence, amount, unit, is_proven, then.decision_type.value, left)

    def unproven(self, gate: str, sentence: str) -> Counterfactual:
        """No change of what is known lets the gate pass; the sentence says what is missing."""
        return self.told(gate, self.inputs, sentence, None, "")


def counterfactuals(inputs: DecisionInputs, params: Params) -> tuple[Counterfactual, ...]:
    """Answers for every gate that did not pass, in the order of the gates; nothing for one that passed."""
    case = Case(inputs, params, assess(inputs, params))
    found: list[Counterfactual] = []
    for result in case.made.gates:
        if result.passed is not True:
            answers = list(_FINDERS[result.name](case))
            found += answers or [case.unproven(result.name, f"no single change was found: {result.detail}")]
    return tuple(found)


def smallest(passes: Callable[[float], bool], highest: float) -> float | None:
    """The smallest change up to `highest` that passes, for a rule that passes from some point on; None if none does."""
    if not passes(highest):
        return None
    low, high = 0.0, highest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _more_voters(case: Case, gate: str) -> Iterator[Counterfactual]:
    for extra in range(1, MOST_VOTERS + 1):
        changed = with_more(case, extra)
        if changed is None:
            return
        if case.passes(gate, changed):
            who = "one more trader" if extra == 1 else f"{extra} more traders"
            sentence = f"had {who} agreed, as good as the middle one of those who did and independent of all others"
            yield case.told(gate, changed, sentence, float(extra), "traders")
            return


def with_more(case: Case, extra: int) -> DecisionInputs | None:
    """The inputs with so many more agreeing: as good as the middle one, at the newest vote's time, rho 0 to all."""
    known = [v for v in case.agreeing if estimate.posterior_of(v) is not None and v.notional is not None]
    if not known:
        return None
    middle = sorted(known, key=lambda voter: (voter.m or 0.0, voter.address))[len(known) // 2]
    newest = max(voter.voted_at_ms for voter in known)
    added = tuple(
        replace(middle, address=f"{middle.address}+{n:02d}", voted_at_ms=newest, fill_ids=())
        for n in range(1, extra + 1)
    )
    names = [voter.address for voter in (*case.agreeing, *added)]
    fresh = {voter.address for voter in added}
    free = tuple(
        PairCorrelation(min(a, b), max(a, b), 0.0, _MANY_BUCKETS, _MANY_BUCKETS, 0.0)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if a in fresh or b in fresh
    )
    voters = tuple(sorted((*case.inputs.voters, *added), key=lambda voter: (voter.voted_at_ms, voter.address)))
    return replace(case.inputs, voters=voters, pairs=(*case.inputs.pairs, *free))


def _fewer_opponents(case: Case) -> Iterator[Counterfactual]:
    agreeing = {voter.address for voter in case.agreeing}
    against = [voter for voter in case.inputs.voters if voter.address not in agreeing]
    for fewer in range(1, len(against) + 1):
        gone = {voter.address for voter in against[-fewer:]}
        changed = replace(case.inputs, voters=tuple(v for v in case.inputs.voters if v.address not in gone))
        if case.passes("supermajority", changed):
            who = "one opponent" if fewer == 1 else f"{fewer} opponents"
            yield case.told("supermajority", changed, f"had {who} not voted", float(fewer), "traders")
            return


def _supermajority(case: Case) -> Iterator[Counterfactual]:
    yield from sorted(
        (*_fewer_opponents(case), *_more_voters(case, "supermajority")), key=lambda found: found.amount or 0.0
    )


def _effective_k(case: Case) -> Iterator[Counterfactual]:
    result = case.made.gate("effective_k")
    if result.passed is None:
        yield from _measured(case)
        return
    least = smallest(lambda share: case.passes("effective_k", _less_correlated(case.inputs, share)), 1.0)
    if least is not None:
        sentence = f"had the correlations among those who agree been {least:.0%} lower"
        yield case.told("effective_k", _less_correlated(case.inputs, least), sentence, least, "share")
    yield from _more_voters(case, "effective_k")


def _less_correlated(inputs: DecisionInputs, share: float) -> DecisionInputs:
    def less(value: float | None) -> float | None:
        return None if value is None else value * (1 - share)

    pairs = tuple(replace(pair, rho=less(pair.rho), phi_common=less(pair.phi_common)) for pair in inputs.pairs)
    return replace(inputs, pairs=pairs, rho0=less(inputs.rho0))


def _measured(case: Case) -> Iterator[Counterfactual]:
    """Enough pairs measured, with the correlation that is assumed of them."""
    names, rho0 = sorted(voter.address for voter in case.agreeing), case.inputs.rho0
    if rho0 is None:
        return
    held, rules = by_pair(case.inputs.pairs), case.params.correlation
    keys = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if measured(held.get((a, b)), rules) is None]
    least = rules.min_common_buckets
    for count in range(1, len(keys) + 1):
        filled = {key: PairCorrelation(*key, rho0, least, least, rho0) for key in keys[:count]}
        changed = replace(case.inputs, pairs=tuple({**held, **filled}.values()))
        if case.passes("effective_k", changed):
            what = "one more pair" if count == 1 else f"{count} more pairs"
            sentence = f"had {what} of those who agree been measured, at the correlation assumed of them ({rho0:.2f})"
            yield case.told("effective_k", changed, sentence, float(count), "pairs")
            return


def _freshness(case: Case) -> Iterator[Counterfactual]:
    percentile = None if case.inputs.volatility is None else case.inputs.volatility.percentile
    earliest = case.inputs.now_ms - life_ms(percentile, case.params.consensus)
    late = [voter for voter in case.agreeing if voter.voted_at_ms < earliest]
    if not late:
        return
    lag_s = (earliest - min(voter.voted_at_ms for voter in late)) / 1000
    names = {voter.address for voter in late}
    voters = tuple(replace(v, voted_at_ms=earliest) if v.address in names else v for v in case.inputs.voters)
    who = "one vote" if len(late) == 1 else f"{len(late)} votes"
    yield case.told("freshness", replace(case.inputs, voters=voters),
                    f"had {who} been up to {lag_s:.1f} s younger", lag_s, "s")  # fmt: skip


def _price_band(case: Case) -> Iterator[Counterfactual]:
    mid, median = case.inputs.mid, case.made.median_vote_price
    if mid is None or median is None or case.made.trade_stop_fraction is None:
        return
    gap = Decimal(str(median)) - Decimal(str(mid))
    share = smallest(lambda part: case.passes("price_band", _shifted(case.inputs, gap * Decimal(str(part)))), 1.0)
    if share is not None:
        shift = gap * Decimal(str(share))
        sentence = f"had the mid been {abs(float(shift)) / mid * 10_000:.1f} bps nearer to the median vote price"
        yield case.told("price_band", _shifted(case.inputs, shift), sentence, abs(float(shift)) / mid * 10_000, "bps")


def _shifted(inputs: DecisionInputs, by: Decimal) -> DecisionInputs:
    """The whole book, or the venue's mid, moved by an amount of price."""
    if not inputs.is_book_subscribed or inputs.book is None:
        return replace(inputs, context_mid=None if inputs.context_mid is None else inputs.context_mid + by)
    book = inputs.book
    bids, asks = (tuple(replace(level, px=level.px + by) for level in side) for side in (book.bids, book.asks))
    return replace(inputs, book=replace(book, bids=bids, asks=asks))


def _ev_gate(case: Case) -> Iterator[Counterfactual]:
    least = smallest(lambda more: case.passes("ev_gate", _better(case, more)), _LARGEST_MEAN_R)
    if least is not None:
        means = [voter.m for voter in case.agreeing if voter.m is not None]
        mean = statistics.fmean(means) if means else 0.0
        sentence = f"had the mean R of each who agrees been {least:.2f} R higher ({mean + least:.2f} on average)"
        yield case.told("ev_gate", _better(case, least), sentence, least, "R")
    yield from _more_voters(case, "ev_gate")


def _better(case: Case, by_r: float) -> DecisionInputs:
    names = {voter.address for voter in case.agreeing}
    voters = tuple(
        replace(v, m=v.m + by_r) if v.address in names and v.m is not None else v for v in case.inputs.voters
    )
    return replace(case.inputs, voters=voters)


def _inputs_fresh(case: Case) -> Iterator[Counterfactual]:
    changed, told = renewed.renewed(case.inputs, case.params)
    if told:
        yield case.told("inputs_fresh", changed, f"had {', '.join(told)}", float(len(told)), "inputs")


_FINDERS: dict[str, Callable[[Case], Iterator[Counterfactual]]] = {
    "inputs_fresh": _inputs_fresh,
    "min_traders": lambda case: _more_voters(case, "min_traders"),
    "supermajority": _supermajority,
    "effective_k": _effective_k,
    "freshness": _freshness,
    "price_band": _price_band,
    "ev_gate": _ev_gate,
}
