"""What each gate was worth, the deflated Sharpe ratio, and whether inputs drift."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.adapters.postgres.queries import Row, number
from sigmapilot_core.domain.evaluation.drift import ALERT_PSI
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import reported
from sigmapilot_ui.status_page.panels.checks import gate_name

load = reported.loader("gates")


def gate_rows(gates: list[Row]) -> list[dict[str, Any]]:
    """One line a gate."""
    return [
        {
            "Gate": gate_name(row["gate"]),
            "Stopped by it alone": row["stopped"]["n"],
            "Mean R of these": words.signed(reported.value(row["stopped"])),
            "95 %": reported.interval(row["stopped"]),
            "R it saved": words.signed(number(row["saved_r"]), 1),
        }
        for row in gates
    ]


def drift_rows(drift: list[Row]) -> list[dict[str, Any]]:
    """One line an input, shifted ones first, unknown ones last."""
    order = {False: 0, True: 1}
    ranked = sorted(drift, key=lambda row: (order[row["psi"] is None], -(row["psi"] or 0.0)))
    return [
        {
            "Input": row["name"],
            "Verdict": "? too few" if row["psi"] is None else "✗ shifted" if row["psi"] > ALERT_PSI else "✓ alike",
            "PSI": words.plain(number(row["psi"]), 3),
            "KS": words.plain(number(row["ks"]), 3),
            "Fitting period": row["n_fit"],
            "Now": row["n_now"],
        }
        for row in ranked
    ]


def sharpe_tile(sharpe: Row | None) -> str:
    """How likely the ratio is above what trials without edge would show."""
    if sharpe is None:
        return look.tile("Deflated Sharpe", words.UNKNOWN, "needs 20 days of ended decisions")
    said = f"{words.plain(number(sharpe['daily']))} a day over {words.count(sharpe['days'], 'day')}"
    return look.tile("Deflated Sharpe", words.percent(number(sharpe["probability"]), 1), said)


def show(report: Row) -> None:
    """Draw the panel."""
    content = reported.begun("What each gate was worth", report, "Decisions that one gate alone stopped, followed")
    if content is None:
        return
    shifted = sum((row["psi"] or 0.0) > ALERT_PSI for row in content["drift"])
    known = sum(row["psi"] is not None for row in content["drift"])
    look.strip(
        [
            look.tile("Decisions", f"{content['decisions']:,}", f"{content['ended']:,} passed and ended"),
            sharpe_tile(content["sharpe"]),
            look.tile(
                "Inputs that drift",
                f"{shifted} of {known}" if known else words.UNKNOWN,
                f"PSI above {ALERT_PSI}, last week against before",
                "bad" if shifted else "",
            ),
        ]
    )
    chart = reported.interval_chart(
        [(gate_name(row["gate"]), row["stopped"]) for row in content["gates"]], "mean R of what it alone stopped, 95 %"
    )
    if chart is not None:
        look.chart(chart, "Mean R of the decisions that each gate alone stopped, with its interval")
    look.table(gate_rows(content["gates"]), alt_text="What each gate alone stopped and saved")
    look.heading("Drift of the inputs")
    look.table(drift_rows(content["drift"]), alt_text="Inputs of the last week against what lies before a week's gap")
