"""The pool by day on the status page: read from the report, with everyone followed beside the survivors."""

from __future__ import annotations

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_ui.status_page.panels import pool_days

_MART = """
    CREATE SCHEMA report_marts;
    CREATE TABLE report_marts.mart_pool_days AS
    SELECT day::date AS as_of_date, version AS selection_version, chain, 50 AS members, 0.2::float AS exploration_share,
           7 AS entered, 5 AS gone, 0.14::float AS turnover, 40 AS well_known, 9 AS few_episodes, 1 AS facts_unknown,
           0 AS spilled, 133 AS followed, 6 AS dead, 2 AS censored, -0.05::float AS mean_r,
           0.11::float AS mean_r_of_survivors, '' AS reason
      FROM (VALUES ('2026-03-14', 0, 'whole_day'), ('2026-03-15', 3, 'live')) AS draws (day, version, chain)
"""


def test_there_is_nothing_before_the_report_was_made(pg_url: str) -> None:
    engine = create_engine(pg_url)
    with engine.connect() as connection:
        assert pool_days.load(connection).days == []
    engine.dispose()


def test_each_draw_has_a_line_with_its_reasons_and_the_dead(pg_url: str) -> None:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(sa.text(_MART))
        shown = pool_days.table(pool_days.load(connection))
    engine.dispose()
    assert [line["Draw"] for line in shown] == ["live 3", "whole day"]
    line = shown[0]
    assert line["Why"] == "40 well known, 9 few episodes, 1 facts unknown"
    assert (line["Exploring"], line["In"], line["Out"], line["Dead"], line["Unseen"]) == ("20%", 7, 5, 6, 2)
    assert (line["Mean R"], line["of survivors"]) == ("−0.05", "+0.11")
