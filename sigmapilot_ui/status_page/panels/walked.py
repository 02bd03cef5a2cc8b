"""What the rules would have decided and earned on stored days, beside the baselines."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.adapters.postgres.queries import Row, number
from sigmapilot_core.adapters.postgres.stored_record import Missing
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import reported

load = reported.loader("walk_forward")


def line_rows(lines: list[Row]) -> list[dict[str, Any]]:
    """One line a strategy over all folds, then fold by fold."""
    ordered = sorted(lines, key=lambda line: -1 if line["fold"] is None else line["fold"])
    return [
        {
            "Strategy": line["strategy"],
            "Fold": "all" if line["fold"] is None else str(line["fold"] + 1),
            "Trades": line["mean_r"]["n"],
            "Mean R": words.signed(reported.value(line["mean_r"])),
            "95 %": reported.interval(line["mean_r"]),
            "Sum of R": words.signed(number(line["total_r"]), 1),
            "Consensus − this": words.signed(reported.value(line["margin"])),
            "95 % of that": reported.interval(line["margin"]),
        }
        for line in ordered
    ]


def about(content: dict[str, Any]) -> str:
    """What was walked over, in one sentence."""
    rules = content["rules"]
    return (
        f"{content['first']} to {content['last']}: {words.count(content['traders'], 'trader')}, "
        f"{words.count(content['fills'], 'fill')}; the first {rules['warm_up_days']} days only teach, tests of "
        f"{rules['test_days']} days with {rules['gap_days']} days between fitting and test; "
        f"slippage {content['slippage']}."
    )


def missing(content: dict[str, Any]) -> str | None:
    """What the walked history lacks, in the words of the command; None if nothing worth telling."""
    return Missing(**content["missing"]).sentence()


def who_is_gone(survivorship: Row) -> str:
    """How many of those ever listed are gone, and what leaving them out would hide."""
    return (
        f"Of {words.count(survivorship['listed'], 'trader')} ever listed {survivorship['gone']} are gone and counted: "
        f"copied, all of them make {words.r_multiple(number(survivorship['everybody_r']))}, "
        f"who is left {words.r_multiple(number(survivorship['survivors_r']))}."
    )


def show(report: Row) -> None:
    """Draw the panel."""
    content = reported.begun("Walk-forward", report, "R per trade after costs, decisions of days nobody fitted on")
    if content is None:
        return
    look.draw(f'<div class="sp-small">{look.span(about(content))}</div>')
    lacking = missing(content)
    if lacking is not None:
        look.draw(f'<div class="sp-small">{look.span(f"Missing: {lacking}.", "doubt")}</div>')
    lines = content["evaluation"]["lines"]
    total = [(line["strategy"], line["mean_r"]) for line in lines if line["fold"] is None]
    chart = reported.interval_chart(total, "mean R after costs, 95 % over resampled days")
    if chart is not None:
        look.chart(chart, "Mean R of every strategy with its interval; the dashed line is no trade")
    look.table(line_rows(lines), alt_text="Every strategy in total and fold by fold")
    look.draw(f'<div class="sp-small">{look.span(who_is_gone(content["evaluation"]["survivorship"]))}</div>')
