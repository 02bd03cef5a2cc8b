"""Every GET of the operators' runbook and of the predecessor, on a filled and on an empty database."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from seed_rows import GATES, NOW, POOL_SIZE, RISK_REJECTS, SIGNALS, SKIPS, address, decision_id

GETS = (
    "/alpha-pool",
    "/alpha-pool/addresses",
    "/alpha-pool/status",
    "/consensus/signals?limit=5",
    "/consensus/stats",
    "/correlation/status",
    "/data-health",
    "/decisions/stats?days=7",
    "/decisions?symbol=BTC&type=signal&limit=50",
    "/docs",
    "/execution/config",
    "/execution/logs?limit=5",
    "/healthz",
    "/kill-switch",
    "/leaderboard",
    "/metrics",
    "/openapi.json",
    "/pinned-accounts",
    "/portfolio",
    "/portfolio/funding",
    "/portfolio/positions",
    "/positions/open",
    "/positions/recent",
    "/ranks/top?n=3",
    "/recent-fills",
    "/regime",
    "/regime/BTC",
    "/regime/params",
    "/pinned-accounts/changes",
    "/science",
    "/science/calibration",
    "/science/gates",
    "/science/truth",
    "/science/walk_forward",
    "/scores",
    "/snapshots/deaths",
    f"/snapshots/history?address={address(0)}",
    "/snapshots/summary",
    "/subscriptions/status",
)


def get(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", GETS)
def test_answers_on_a_filled_database(full: TestClient, path: str) -> None:
    assert full.get(path).status_code == 200


@pytest.mark.parametrize("path", GETS)
def test_answers_on_an_empty_database(empty: TestClient, path: str) -> None:
    assert empty.get(path).status_code == 200


EXPLAINED = ("/decisions/{decision_id}/explanation", "/decisions/export")
"""Tested beside what they are made of, in test_ui_explain.py."""


def test_every_get_route_is_tested_here(full: TestClient) -> None:
    declared = {path for path, methods in get(full, "/openapi.json")["paths"].items() if "get" in methods}
    elsewhere = {"/readyz", "/decisions/{decision_id}", "/alpha-pool/refresh/status", *EXPLAINED}
    tested = {re.sub(r"^/regime/BTC$", "/regime/{asset}", path.split("?")[0]) for path in GETS}
    tested = {re.sub(r"^/science/\w+$", "/science/{kind}", path) for path in tested}
    assert declared - elsewhere == tested - {"/docs", "/openapi.json"}


def test_newest_signals_first_and_only_as_many_as_asked(full: TestClient) -> None:
    found = get(full, "/consensus/signals?limit=5")
    assert found["count"] == len(found["signals"]) == 5
    assert [row["id"] for row in found["signals"]] == [decision_id(i) for i in range(5)]


def test_a_result_of_zero_stays_zero_and_an_open_one_is_null(full: TestClient) -> None:
    results = {row["id"]: row["result_r"] for row in get(full, "/consensus/signals")["signals"]}
    assert results[decision_id(2)] == 0.0
    assert results[decision_id(2)] is not None
    assert results[decision_id(4)] is None


def test_consensus_statistics_hold_counts_win_rate_average_r_and_k(full: TestClient) -> None:
    found = get(full, "/consensus/stats")
    # signals 0..3 of RESULTS ended: 1.85, -1.06, 0 and .62
    assert (found["total_signals"], found["closed"], found["wins"], found["losses"]) == (SIGNALS, 4, 2, 1)
    assert found["win_rate"] == 50.0
    assert found["avg_result_r"] == pytest.approx((1.85 - 1.06 + 0.62) / 4)
    assert found["avg_eff_k"] > 2


def test_consensus_statistics_of_nothing_are_zero_counts_and_unknown_rates(empty: TestClient) -> None:
    found = get(empty, "/consensus/stats")
    assert (found["total_signals"], found["closed"], found["win_rate"], found["avg_result_r"]) == (0, 0, None, None)


@pytest.mark.parametrize("name", ["type", "decision_type"])
def test_both_names_of_the_decision_type_filter(full: TestClient, name: str) -> None:
    found = get(full, f"/decisions?{name}=risk_reject")
    assert found["total"] == len(found["items"]) == RISK_REJECTS
    assert {item["decision_type"] for item in found["items"]} == {"risk_reject"}


def test_decisions_are_filtered_by_symbol_and_paged(full: TestClient) -> None:
    pages = [get(full, f"/decisions?symbol=BTC&limit=10&offset={offset}") for offset in (0, 10, 20)]
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == pages[0]["total"] == (SIGNALS + RISK_REJECTS + SKIPS) // 2
    times = [item["decided_at"] for page in pages for item in page["items"]]
    assert times == sorted(times, reverse=True)


def test_a_decision_shows_all_seven_gates_as_numbers_and_three_verdicts(full: TestClient) -> None:
    items = get(full, "/decisions?limit=500")["items"]
    assert all([gate["name"] for gate in item["gates"]] == list(GATES) for item in items)
    verdicts = {gate["passed"] for item in items for gate in item["gates"]}
    assert verdicts == {True, False, None}
    unknown = next(gate for item in items for gate in item["gates"] if gate["passed"] is None)
    assert unknown["value"] is None
    assert isinstance(unknown["threshold"], float)


def test_one_decision_carries_its_record_and_chain(full: TestClient) -> None:
    found = get(full, f"/decisions/{decision_id(0)}")
    assert found["record"] == {"symbol": "BTC", "decision_type": "signal"}
    assert (found["chain"], found["seq"]) == (0, 100)
    assert found["outcome_r_multiple"] == 1.85


def test_public_decisions_hold_no_addresses(full: TestClient) -> None:
    for path in ("/decisions?limit=500", f"/decisions/{decision_id(0)}", "/consensus/signals"):
        assert not re.search(r"0x[0-9a-f]{40}\b", full.get(path).text)


def test_an_unknown_decision_is_not_found_in_one_sentence(full: TestClient) -> None:
    answer = full.get(f"/decisions/{decision_id(9999)}")
    assert (answer.status_code, answer.json()) == (404, {"error": f"There is no decision {decision_id(9999)}."})


def test_the_pool_has_posteriors_under_both_names(full: TestClient) -> None:
    traders = get(full, "/alpha-pool")["traders"]
    assert len(traders) == POOL_SIZE
    first = traders[0]
    assert {"m", "kappa", "alpha", "beta", "sigma", "avg_r"} <= first.keys()
    assert first["m"] == first["nig_m"]
    assert len(first["pnl_curve"]) == 8
    assert traders[-1]["m"] is None


def test_pool_status_summarises_the_posteriors(full: TestClient) -> None:
    found = get(full, "/alpha-pool/status")
    assert found["pool_size"] == POOL_SIZE
    assert found["nig_stats"].keys() >= {"mean", "kappa", "sigma"}
    assert found["last_refreshed"] == "2026-03-15T10:00:00Z"
    assert found["next_refresh"] is None  # Dagster is away: unknown, not guessed
    assert found["learning"] == {"ready": 7, "needed": 10}


def test_pool_status_before_the_first_draw(empty: TestClient) -> None:
    found = get(empty, "/alpha-pool/status")
    assert (found["pool_size"], found["last_refreshed"], found["nig_stats"]["mean"]["avg"]) == (0, None, None)


def test_scores_are_an_array_as_jq_reads_it(full: TestClient, empty: TestClient) -> None:
    found = get(full, "/scores")
    assert [(row["address"], row["meta"]["source"]) for row in (found[0], found[-1])] == [
        (address(0), "posterior"),
        (address(11), "prior"),
    ]
    assert [row["rank"] for row in found] == list(range(1, POOL_SIZE + 1))
    assert get(empty, "/scores") == []
    assert get(full, "/ranks/top?n=3")["entries"] == found[:3]


def test_recent_fills_are_an_array_newest_first(full: TestClient, empty: TestClient) -> None:
    found = get(full, "/recent-fills?limit=10")
    assert len(found) == 10
    assert [row["time_ms"] for row in found] == sorted((row["time_ms"] for row in found), reverse=True)
    assert found[0]["px"] == 84250.5
    assert found[1]["realized_pnl"] == 0
    assert get(empty, "/recent-fills") == []


def test_regimes_of_btc_and_eth_with_confidence_and_parameters(full: TestClient) -> None:
    found = get(full, "/regime")
    assert (found["BTC"]["regime"], found["BTC"]["confidence"]) == ("trending", 0.64)
    # spec 5.3: trend stop x 1.2, Kelly x 1, confidence + 0
    assert found["BTC"]["params"] == {
        "stop_multiplier": 1.2,
        "kelly_multiplier": 1.0,
        "min_confidence_adjustment": 0.0,
    }
    assert found["ETH"]["confidence"] == 0.0
    assert found["summary"]["consensus_regime"] == "mixed"


def test_regimes_are_unknown_before_any_candle(empty: TestClient) -> None:
    found = get(empty, "/regime")
    assert {found[asset]["regime"] for asset in ("BTC", "ETH")} == {"unknown"}
    assert found["BTC"]["confidence"] is None


def test_regime_parameters_are_not_taken_for_an_asset(full: TestClient) -> None:
    assert get(full, "/regime/params")["regimes"]["volatile"]["stop_multiplier"] == 1.5
    assert full.get("/regime/NOPE").json() == {"error": "No regime is known of 'NOPE'; known: BTC, ETH, SOL."}


def test_execution_attempts_are_paged(full: TestClient) -> None:
    found = get(full, "/execution/logs?limit=5")
    assert (found["total"], found["count"], found["limit"]) == (12, 5, 5)
    assert {row["kelly_method"] for row in found["items"]} == {"off"}


def test_execution_is_off_where_nothing_was_configured(empty: TestClient) -> None:
    found = get(empty, "/execution/config")
    assert (found["configured"], found["enabled"], found["updated_at"]) == (False, False, None)
    assert found["risk"]["max_daily_loss_pct"] == 5.0


def test_portfolio_sums_what_is_known(full: TestClient, empty: TestClient) -> None:
    found = get(full, "/portfolio")
    assert found["total_unrealized_pnl"] == pytest.approx(3.57 - 4.38)
    assert found["risk_governor"]["kill_switch"]["value"] is False
    assert found["exchanges"][0]["total_exposure_pct"] == pytest.approx(100 * 3986 / found["total_equity"])
    nothing = get(empty, "/portfolio")
    assert (nothing["total_equity"], nothing["total_positions"], nothing["total_unrealized_pnl"]) == (None, 0, 0.0)


def test_data_health_names_everything_that_is_not_well(full: TestClient) -> None:
    found = get(full, "/data-health")
    assert found["status"] == "degraded"
    assert found["atr"]["eth"]["source"] == "realised_vol"
    assert "the stop of SOL rests on fallback, not on its ATR" in found["warnings"]
    assert "1 records are parked and wait for a person" in found["warnings"]
    assert found["weight_distribution"] == {"gini": None, "saturation_pct": None}


def test_leaderboard_ranks_the_newest_day_by_the_period(full: TestClient) -> None:
    found = get(full, "/leaderboard?period=week&limit=3")
    assert found["as_of_date"] == NOW.date().isoformat()
    pnl = [row["pnl"] for row in found["entries"]]
    assert pnl == sorted(pnl, reverse=True)
    assert [row["rank"] for row in found["entries"]] == [1, 2, 3]


def test_deaths_are_counted_by_type(full: TestClient) -> None:
    found = get(full, "/snapshots/deaths?days=30")
    assert found["by_type"] == {"drawdown_80": 1, "liquidation": 1}
    assert get(full, "/snapshots/summary")["by_event"]["censored"] == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/consensus/signals?limit=0", "limit"),
        ("/consensus/signals?limit=501", "limit"),
        ("/consensus/signals?limit=ten", "limit"),
        ("/decisions?type=buy", "type"),
        ("/decisions?offset=-1", "offset"),
        ("/decisions/stats?days=0", "days"),
        ("/decisions/not-a-uuid", "decision_id"),
        ("/snapshots/history?address=0x12", "address"),
        ("/leaderboard?period=year", "period"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_named_in_one_sentence(full: TestClient, path: str, name: str) -> None:
    answer = full.get(path)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}
    assert f"Parameter '{name}'" in answer.json()["error"]


def test_contradicting_types_are_refused(full: TestClient) -> None:
    answer = full.get("/decisions?type=signal&decision_type=skip")
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_unknown_paths_and_methods_answer_in_json(full: TestClient) -> None:
    assert full.get("/nothing").json() == {"error": "Not Found"}
    assert full.post("/execution/config").json() == {"error": "Method Not Allowed"}


def test_documentation_lists_every_route_and_loads_nothing(full: TestClient) -> None:
    page = full.get("/docs").text
    for path in get(full, "/openapi.json")["paths"]:
        assert f"<code>{path}</code>" in page
    assert "signal, skip, risk_reject" in page
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


def test_text_of_the_database_is_data_not_markup(full: TestClient) -> None:
    answer = full.get("/alpha-pool")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<b>Bold & Co</b>" in {row["nickname"] for row in answer.json()["traders"]}


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:4104", 200), ("127.0.0.1:4100", 200), ("[::1]:4100", 200), ("api", 200), ("evil.example", 400)],
)
def test_a_foreign_host_name_is_refused(full: TestClient, host: str, status: int) -> None:
    assert full.get("/healthz", headers={"host": host}).status_code == status
