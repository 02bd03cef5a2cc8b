"""The report on the pool by day, as dbt writes it."""

from __future__ import annotations

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, rows, scalar

_MART = "report_marts.mart_pool_days"
_DAYS = """
    SELECT as_of_date, selection_version, chain, members, exploration_share, entered, gone, turnover, well_known,
           few_episodes, facts_unknown, spilled, followed, dead, censored, mean_r, mean_r_of_survivors, reason
      FROM report_marts.mart_pool_days
     ORDER BY as_of_date DESC, selection_version DESC LIMIT :limit
"""


def pool_days(connection: sa.Connection, limit: int = 14) -> list[Row]:
    """The newest days of the report, newest first; empty before the report was made once."""
    if scalar(connection, sa.select(sa.func.to_regclass(_MART))) is None:
        return []
    return rows(connection, sa.text(_DAYS).bindparams(limit=limit))
