"""An explanation as plain text that can be read from top to bottom, printed and kept."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from sigmapilot_core.domain.consensus.explanation import ExplainedCheck, Explanation
from sigmapilot_core.domain.consensus.waterfall import StepKind, WaterfallStep

_WIDTH = 110
_BAR = 28
_MARKS = {"pass": "+ pass", "fail": "x FAIL", "unknown": "? unknown"}


def explanation_text(found: Explanation) -> str:
    """The whole explanation, a section after the other."""
    sections = (
        [f"{found.decision_type.upper()} {found.asset} {found.direction.value}", f"decision {found.decision_id}", ""],
        textwrap.wrap(found.reasoning, _WIDTH),
        ["", "VOTERS (pseudonyms; the same trader has the same name everywhere)", *_voters(found)],
        ["", "CORRELATION of those who agree", *_pairs(found)],
        ["", "GATES", *_checks(found.gates)],
        ["", "RISK CHECKS", *_checks(found.risk_checks)],
        ["", "EXPECTED VALUE in R, multiples of what the stop risks", *_waterfall(found)],
        ["", "WHAT WOULD HAVE HAD TO BE DIFFERENT", *_differences(found)],
    )
    return "\n".join(line.rstrip() for section in sections for line in section) + "\n"


def _number(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell; the last one is free."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header) - 1)]
    for row in (header, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]])


def _voters(found: Explanation) -> Iterator[str]:
    if not found.voters:
        yield "  nobody voted"
        return
    header = (
        "trader",
        "side",
        "age",
        "price",
        "notional",
        "episodes",
        "n eff",
        "mean R",
        "record",
        "p win",
        "vote weight",
    )
    rows = [
        (
            voter.label,
            voter.direction.value if voter.is_agreeing else f"({voter.direction.value})",
            f"{voter.age_s:.1f} s",
            "unknown" if voter.price is None else f"{voter.price:g}",
            "unknown" if voter.notional_usd is None else f"{voter.notional_usd:,.0f} USD",
            str(voter.n_episodes),
            _number(voter.n_eff, 1),
            _number(voter.mean_r),
            _number(voter.record_weight),
            _number(voter.p_win),
            _number(voter.vote_weight, 3),
        )
        for voter in found.voters
    ]
    yield from _table(header, rows)
    yield "  record = k/(k+10), the weight of a trader's record; n eff = episodes, older ones counting less"


def _pairs(found: Explanation) -> Iterator[str]:
    if not found.pairs:
        yield "  fewer than two agree"
        return
    rows = [
        (pair.label_a, pair.label_b, "unmeasured" if pair.rho is None else f"{pair.rho:.3f}", str(pair.n_buckets),
         _number(pair.rho_used, 3))
        for pair in found.pairs
    ]  # fmt: skip
    yield from _table(("trader", "trader", "measured", "buckets", "used"), rows)
    agreeing = sum(voter.is_agreeing for voter in found.voters)
    yield f"  unmeasured pairs count with rho0 {_number(found.rho0, 3)}"
    yield f"  the {agreeing} who agree count as {_number(found.effective_k)} independent votes (effective K)"


def _checks(checks: Sequence[ExplainedCheck]) -> Iterator[str]:
    rows = [
        (
            _MARKS[check.verdict],
            check.name,
            "-" if check.value is None and check.verdict == "pass" else _number(check.value),
            _number(check.threshold),
            "" if check.margin is None else f"{check.margin:+.2f}",
            check.detail,
        )
        for check in checks
    ]
    yield from _table(("verdict", "check", "value", "threshold", "margin", "detail"), rows)


def _waterfall(found: Explanation) -> Iterator[str]:
    if not found.waterfall:
        yield f"  nothing could be estimated: {found.ev_reason}"
        return
    scale = _BAR / max(max(abs(step.after_r), abs(step.value_r)) for step in found.waterfall)
    rows = [(step.name, f"{step.value_r:+.3f}", f"{step.after_r:+.3f}", _bar(step, scale), step.detail)
            for step in found.waterfall]  # fmt: skip
    yield from _table(("step", "change", "level", "", ""), rows)
    if found.ev_reason is not None:
        yield f"  net EV is not known: {found.ev_reason}"


def _bar(step: WaterfallStep, scale: float) -> str:
    return ("=" if step.kind is StepKind.TOTAL else "+" if step.value_r >= 0 else "-") * round(
        abs(step.value_r) * scale
    )


def _differences(found: Explanation) -> Iterator[str]:
    if not found.counterfactuals:
        blocked = [check.name for check in found.risk_checks if check.verdict != "pass"]
        told = f"only the risk checks: {', '.join(blocked)}" if found.decision_type == "risk_reject" else "nothing"
        yield f"  every gate passed; {told}"
    for answer in found.counterfactuals:
        left = f"; still in the way: {', '.join(answer.not_passed)}" if answer.not_passed else ""
        sure = "" if answer.is_proven else " (the gate stays unknown)"
        line = f"{answer.gate}: {answer.sentence}{sure}. The decision would then have been {answer.then}{left}."
        yield from textwrap.wrap(line, _WIDTH, initial_indent="  - ", subsequent_indent="    ")
