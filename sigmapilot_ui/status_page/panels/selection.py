"""From the leaderboard to the eligible: the seven filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_traders
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_ui.status_page import look, words

NAMES = {
    "month_pnl": "1 month PnL",
    "month_roi": "2 month return",
    "account_value": "3 account value",
    "week_volume": "4 week volume",
    "not_hft": "5 not high-frequency",
    "no_sub_accounts": "6 no sub-accounts",
    "btc_eth_history": "7 BTC or ETH history",
}


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    day: date | None
    funnel: list[Row]


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(queries_traders.filters_day(db), queries_traders.selection_funnel(db))


def funnel_chart(funnel: list[Row]) -> alt.LayerChart:
    """Who is left after each filter; ✗ and ? count each filter's own verdicts over all rows."""
    steps = [{"step": "leaderboard", "left": funnel[0]["rows"], "remark": f"{funnel[0]['rows']:,}"}]
    for row in funnel:
        unknown = f"  ? {row['unknown']:,}" if row["unknown"] else ""
        remark = f"{row['survivors']:,}   ✗ {row['failed']:,}{unknown}"
        steps.append({"step": NAMES[row["filter"]], "left": row["survivors"], "remark": remark})
    y = alt.Y("step:N", sort=[step["step"] for step in steps], title=None, axis=alt.Axis(labelLimit=160))
    base = alt.Chart(pl.DataFrame(steps)).encode(y=y)
    # square root: a few dozen eligible stay visible beside tens of thousands of rows
    room = alt.Scale(type="sqrt", domainMax=1.7 * funnel[0]["rows"], nice=False)  # for the labels
    x = alt.X("left:Q", title="traders left (square-root scale)", scale=room)
    bars = base.mark_bar(height={"band": 0.7}, color=look.CALM).encode(x=x, tooltip=["step", "left", "remark"])
    labels = base.mark_text(align="left", dx=5, color="#8a94a6").encode(x=x, text="remark:N")
    return (bars + labels).properties(height=30 * len(steps) + 40)


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("From the leaderboard to the eligible")
    if not data.funnel or data.day is None:
        look.nothing("The filters have not run yet; they run daily after the leaderboard of 00:30 UTC.")
        return
    look.chart(funnel_chart(data.funnel), f"Traders left after each of seven filters on {data.day}")
    eligible = words.count(data.funnel[-1]["survivors"], "trader")
    look.draw(
        f'<div class="sp-small">{look.span(f"{data.day:%d %b %Y}: {eligible} passed all seven")}. '
        f"{look.span('Every filter is judged for every row: ✗ failed, ? unknown; neither passes.')}</div>"
    )
