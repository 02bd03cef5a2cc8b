"""The shared read-only queries, on a filled and on an empty database."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
import sqlalchemy as sa
from seed_rows import GATES, NOW, POOL_SIZE, RESULTS, RISK_REJECTS, SIGNALS, SKIPS, TODAY, address

from sigmapilot_core.adapters.postgres import (
    queries_decisions,
    queries_execution,
    queries_health,
    queries_market,
    queries_traders,
)
from sigmapilot_core.adapters.postgres.queries import ago, feed_now, number, parsed, reading

WEEK = NOW - timedelta(days=7)


def test_the_feeds_now_is_the_heartbeat_plus_the_time_since_it_was_written(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        assert timedelta(0) <= feed_now(connection) - NOW < timedelta(hours=1)
        assert feed_now(connection) - ago(connection, hours=4) == timedelta(hours=4)


def test_without_a_heartbeat_now_is_the_databases_clock(blank: sa.Engine) -> None:
    with reading(blank) as connection:
        assert feed_now(connection) == connection.execute(sa.select(sa.func.now())).scalar()


def test_reading_cannot_write(filled: sa.Engine) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="read-only"), reading(filled) as connection:
        connection.execute(sa.text("DELETE FROM meta"))


def test_a_slow_statement_is_cancelled(filled: sa.Engine) -> None:
    with (
        pytest.raises(sa.exc.OperationalError, match="statement timeout"),
        reading(filled, timeout_ms=20) as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(5)"))


def test_stored_nan_reads_as_unknown(filled: sa.Engine) -> None:
    from sigmapilot_core.adapters.postgres.queries import one

    with reading(filled) as connection:
        row = one(
            connection, sa.text("SELECT 'NaN'::float8 AS a, 'Infinity'::float8 AS b, 'NaN'::numeric AS c, 0.0 AS d")
        )
    assert (row["a"], row["b"], row["c"], row["d"]) == (None, None, None, 0)


def test_numbers_of_records_may_be_decimal_strings() -> None:
    assert (number("0.70"), number(3), number(0), number(None), number(True), number("x"), number("nan")) == (
        0.7,
        3.0,
        0.0,
        None,
        None,
        None,
        None,
    )
    assert parsed("{") is None


def test_decision_statistics_count_zero_r_neither_as_win_nor_as_loss(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = queries_decisions.decision_stats(connection, WEEK)
    # RESULTS of seed_rows: 1.85 and .62 win, -1.06 and -.4 lose, 0 is flat
    assert (found["closed"], found["wins"], found["losses"], found["flat"]) == (5, 2, 2, 1)
    assert found["win_rate"] == 40.0
    assert found["total_r"] == pytest.approx(sum(RESULTS.values()))
    assert found["total"] == SIGNALS + RISK_REJECTS + SKIPS
    assert found["skip_rate"] == 75.0  # 36 of 48


def test_rates_of_nothing_are_unknown(blank: sa.Engine) -> None:
    with reading(blank) as connection:
        found = queries_decisions.decision_stats(connection, WEEK)
        signals = queries_decisions.consensus_stats(connection)
    assert (found["total"], found["skip_rate"], found["win_rate"], found["avg_result_r"]) == (0, None, None, None)
    assert (signals["total_signals"], signals["win_rate"]) == (0, None)


def test_the_funnel_holds_the_seven_gates_in_order_and_every_verdict(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        funnel = queries_decisions.gate_funnel(connection, WEEK)
    assert [row["gate"] for row in funnel] == list(GATES)
    assert all(row["passed"] + row["failed"] + row["unknown"] == row["total"] == 48 for row in funnel)
    by_gate = {row["gate"]: row for row in funnel}
    assert by_gate["inputs_fresh"]["failed"] == 0
    assert by_gate["ev_gate"]["unknown"] > 0


def test_pool_is_the_newest_draw_best_mean_first_unknown_last(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = queries_traders.pool(connection)
    assert len(found) == POOL_SIZE
    assert found[0]["address"] == address(0)
    assert found[-1]["nig_m"] is None
    assert found[-1]["sigma"] is None
    first = found[0]
    # closed form: sigma^2 = beta / (alpha - 1), Var[mu] = beta / (kappa (alpha - 1)) (spec 1.4)
    assert first["sigma"] == pytest.approx(math.sqrt(first["nig_beta"] / (first["nig_alpha"] - 1)))
    assert first["posterior_std"] == pytest.approx(first["sigma"] / math.sqrt(first["nig_kappa"]))


def test_selection_funnel_narrows_and_ends_with_the_eligible(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        funnel = queries_traders.selection_funnel(connection)
        eligible = connection.execute(sa.text("SELECT count(*) FROM trader_filters WHERE eligible = 'pass'")).scalar()
    survivors = [row["survivors"] for row in funnel]
    assert survivors == sorted(survivors, reverse=True)
    assert survivors[-1] == eligible
    assert all(row["passed"] + row["failed"] + row["unknown"] == row["rows"] for row in funnel)


def test_unmeasured_pairs_are_counted_but_not_averaged(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = queries_traders.correlation_status(connection)
        bins = queries_traders.correlation_bins(connection)
        rho0 = queries_traders.assumed_rho(connection)
    assert found["latest_date"] == TODAY
    assert found["db_pair_count"] == POOL_SIZE * (POOL_SIZE - 1) // 2
    assert 0 < found["measured_pairs"] < found["db_pair_count"]
    assert rho0 == 0.11
    assert found["sample_highest_correlations"][0]["rho"] == 0.92
    assert sum(row["pairs"] for row in bins) == found["measured_pairs"]


def test_newest_volatility_of_each_asset_is_found_by_key(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = {row["asset"]: row for row in queries_market.volatilities(connection)}
    assert {asset: row["source"] for asset, row in found.items()} == {
        "BTC": "atr",
        "ETH": "realised_vol",
        "SOL": "fallback",
    }
    assert found["ETH"]["regime_confidence"] == 0.0
    assert found["SOL"]["atr"] is None


def test_inputs_of_the_stream_have_age_limit_and_verdict(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = queries_health.stream_inputs(connection)
    assert 300 <= found["snapshot"]["age_s"] < 3900  # published 5 minutes before the heartbeat
    assert found["snapshot"]["verdict"] == "pass"
    assert found["heartbeat"]["value"] == "running"


def test_deaths_do_not_include_the_censored(filled: sa.Engine) -> None:
    with reading(filled) as connection:
        found = queries_traders.deaths(connection, TODAY - timedelta(days=30))
        drawn_down = queries_traders.deaths(connection, TODAY - timedelta(days=30), "drawdown_80")
    assert {row["death_type"] for row in found} == {"drawdown_80", "liquidation"}
    assert [row["address"] for row in drawn_down] == [address(50)]


@pytest.mark.parametrize("engine", ["filled", "blank"])
def test_every_query_runs(engine: str, request: pytest.FixtureRequest) -> None:
    with reading(request.getfixturevalue(engine)) as connection:
        queries_decisions.effective_k_bins(connection, WEEK)
        queries_decisions.effective_k_summary(connection, WEEK)
        queries_decisions.outcome_results(connection, WEEK)
        queries_decisions.outcome_stats(connection, WEEK)
        queries_decisions.decision_symbols(connection, WEEK)
        queries_market.costs(connection)
        queries_market.asset_statuses(connection)
        queries_market.hourly_closes(connection, "BTC", WEEK)
        queries_execution.config(connection)
        queries_execution.accounts(connection)
        queries_execution.account_curve(connection, WEEK)
        queries_execution.governor(connection)
        queries_execution.today(connection)
        queries_health.gap_counts(connection, WEEK)
        queries_health.gaps(connection)
        queries_health.dead(connection)
        queries_health.progress(connection)
        queries_traders.leaderboard_status(connection)
        queries_traders.filters_day(connection)
        queries_traders.trader_episodes(connection, "open")
        queries_traders.pnl_curves(connection, [address(0)], NOW.date())
        assert queries_traders.nig_stats(queries_traders.pool(connection))["mean"].keys() == {
            "min",
            "median",
            "avg",
            "max",
        }


def test_leaderboard_refuses_a_period_it_does_not_know(blank: sa.Engine) -> None:
    with reading(blank) as connection, pytest.raises(ValueError, match="period 'year' is not allowed"):
        queries_traders.leaderboard(connection, "year")
