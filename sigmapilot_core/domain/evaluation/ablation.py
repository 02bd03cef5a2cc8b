"""What each gate was worth: the decisions that it alone stopped, followed to their end all the same (spec 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.evaluation.bootstrap import Interval, day_of, mean_interval
from sigmapilot_core.domain.evaluation.record import Minutes
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.scoring import Scored, score
from sigmapilot_core.domain.params import OutcomeParams


@dataclass(frozen=True, slots=True)
class GateWorth:
    """`stopped` is the mean R after costs of the decisions that this gate alone stopped: what it saved a trade, if
    negative. `passed` is that of those that passed all gates. `saved_r` = -sum of R of the stopped ones.

    A decision without a cost is followed with the mean cost of those that have one.
    """

    gate: str
    stopped: Interval
    passed: Interval
    saved_r: float


def gate_worth(
    minutes: Minutes, judged: Sequence[Judged], tested: Sequence[Scored], params: OutcomeParams, seed: int
) -> tuple[GateWorth, ...]:
    """One row a gate over written decisions; `tested` are those of them that passed all gates, ended."""
    passed = _interval(tested, seed)
    costs = [one.judged.cost_r for one in tested if one.judged.cost_r is not None]
    usual = sum(costs) / len(costs) if costs else 0.0
    rows = []
    for index, name in enumerate(GATE_NAMES):
        stopped = [one for one in judged if _only(one, index)]
        priced = [one if one.cost_r is not None else replace(one, cost_r=usual) for one in stopped]
        ended = [one for one in score(minutes, priced, params) if one.result_r is not None]
        saved = -sum(one.result_r or 0.0 for one in ended)
        rows.append(GateWorth(name, _interval(ended, seed), passed, saved))
    return tuple(rows)


def _only(one: Judged, index: int) -> bool:
    """Whether exactly this gate kept the decision back, and it has a direction."""
    others = all(verdict is True for i, verdict in enumerate(one.passed) if i != index)
    return others and one.passed[index] is not True and one.direction.sign != 0


def _interval(ended: Sequence[Scored], seed: int) -> Interval:
    return mean_interval(
        [one.result_r or 0.0 for one in ended], day_of([one.judged.decided_at_ms for one in ended]), seed
    )
