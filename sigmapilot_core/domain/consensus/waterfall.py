"""How the expected value of a decision was built up, step by step, in R (spec 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps, ExpectedValue, VoterEdge, expected_value
from sigmapilot_core.domain.market.costs import CostBreakdown
from sigmapilot_core.domain.params import Params

_ROUNDING_R = 1e-9


class StepKind(StrEnum):
    """A change, or a level that was reached."""

    CHANGE = "change"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    """One step: `value_r` is the change, or the level of a total; `after_r` the level after it."""

    name: str
    kind: StepKind
    value_r: float
    after_r: float
    detail: str


def waterfall(
    ev: ExpectedValue | None, cost: CostBreakdown | None, edges: Sequence[VoterEdge], params: Params
) -> tuple[WaterfallStep, ...]:
    """From what the voters' records say to net EV; stops at gross EV where the cost is unknown, empty without an EV."""
    if ev is None or ev.gross_r is None or not edges:
        return ()
    changes = [*_gross_changes(ev, edges, params)]
    steps, level = _added(changes, 0.0)
    if abs(ev.gross_r - level) > _ROUNDING_R:
        steps.append(WaterfallStep("other", StepKind.CHANGE, ev.gross_r - level, ev.gross_r, "not told apart"))
    steps.append(WaterfallStep("gross EV", StepKind.TOTAL, ev.gross_r, ev.gross_r, "before trading costs"))
    if ev.net_r is None or ev.stop_bps is None or cost is None:
        return tuple(steps)
    paid, level = _added(_cost_changes(cost, ev.stop_bps), ev.gross_r)
    if abs(ev.net_r - level) > _ROUNDING_R:
        paid.append(WaterfallStep("other costs", StepKind.CHANGE, ev.net_r - level, ev.net_r, "not told apart"))
    net = WaterfallStep(
        "net EV", StepKind.TOTAL, ev.net_r, ev.net_r, f"at least {params.consensus.ev_min_r:g} R are needed"
    )
    return (*steps, *paid, net)


def _gross_changes(ev: ExpectedValue, edges: Sequence[VoterEdge], params: Params) -> Iterator[tuple[str, float, str]]:
    """What the voters say as if all were independent, what their dependence takes away, what calibration moves."""

    def at(k: float) -> ExpectedValue:
        return expected_value(
            edges, k, cost_bps=None, stop_fraction=None, maps=CalibrationMaps(), params=params.probability,
            posterior=params.posterior,
        )  # fmt: skip

    alone, counted = at(float(len(edges))), at(ev.effective_k)
    if alone.p_win is None or alone.win_r is None or alone.loss_r is None:
        return
    p, win, loss = alone.p_win, alone.win_r, alone.loss_r
    yield "wins", p * win, f"{p:.1%} x {win:.2f} R, all {len(edges)} votes counted as independent"
    yield "losses", -(1 - p) * loss, f"{1 - p:.1%} x {loss:.2f} R"
    if alone.gross_raw_r is None or counted.gross_raw_r is None or ev.gross_raw_r is None or ev.gross_r is None:
        return
    dependence = f"{len(edges)} votes count as {ev.effective_k:.2f}: {p:.1%} becomes {counted.p_win:.1%}"
    yield "dependence", counted.gross_raw_r - alone.gross_raw_r, dependence
    if ev.gross_raw_r != counted.gross_raw_r:
        yield "calibrated p", ev.gross_raw_r - counted.gross_raw_r, f"{ev.p_raw:.1%} was realised as {ev.p_win:.1%}"
    if ev.gross_r != ev.gross_raw_r:
        yield "calibrated EV", ev.gross_r - ev.gross_raw_r, "what such estimates were worth under our own exits"


def _cost_changes(cost: CostBreakdown, stop_bps: float) -> Iterator[tuple[str, float, str]]:
    parts = (
        ("entry fee", cost.entry_fee_bps, ""),
        ("exit fee", cost.exit_fee_bps, ""),
        ("slippage in", cost.slippage_in_bps, f" ({cost.slippage_source.value})"),
        ("slippage out", cost.slippage_out_bps, f" ({cost.slippage_source.value})"),
        ("funding", cost.funding_bps, f" over {cost.hold_hours:.0f} h; a credit is never counted"),
    )
    for name, bps, note in parts:
        if bps is not None:
            yield name, -bps / stop_bps, f"{bps:.1f} bps of a stop of {stop_bps:.0f} bps{note}"


def _added(
    changes: Iterator[tuple[str, float, str]] | list[tuple[str, float, str]], level: float
) -> tuple[list[WaterfallStep], float]:
    steps = []
    for name, value, detail in changes:
        level += value
        steps.append(WaterfallStep(name, StepKind.CHANGE, value, level, detail))
    return steps, level
