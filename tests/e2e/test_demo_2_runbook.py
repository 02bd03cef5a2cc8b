"""Every command and query of the operators' runbook, typed as it stands there; only the ports are this demo's."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_demo import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# command -> what jq must say `true` to
COMMANDS = {
    "curl -s http://localhost:4104/consensus/signals?limit=5": (
        ".count >= 1 and .count <= 5 and (.signals | length) == .count and (.signals[0] | .symbol and .direction and "
        ".eff_k >= 2 and .p_win > 0 and .p_win < 1 and .ev_net_r >= 0.2)"
    ),
    "curl -s http://localhost:4103/alpha-pool/status": ".pool_size > 0 and .last_refreshed and .next_refresh",
    "curl -s http://localhost:4103/alpha-pool/status | jq '.nig_stats'": (
        ".traders_with_posterior > 0 and .mean.median and .kappa.median and .sigma.median"
    ),
    "curl -s http://localhost:4103/alpha-pool": (
        "(.traders | length) == .count and .count <= .pool_size and "
        '(.traders[0] | [.m, .kappa, .alpha, .beta, .sigma, .avg_r] | all(type == "number"))'
    ),
    "curl -s http://localhost:4103/alpha-pool | jq '.traders | length'": ". > 0",
    "curl -s http://localhost:4103/scores": 'type == "array" and (.[0] | .address and .rank == 1 and .weight > 0)',
    "curl -s http://localhost:4103/scores | jq 'map({address, score, source: .meta.source})'": (
        '(.[0] | (.address | test("^0x[0-9a-f]{40}$")) and (.score | type == "number") and .source == "posterior")'
    ),
    "curl -s http://localhost:4102/recent-fills": 'type == "array" and (.[0] | .address and .coin and .side and .ts)',
    "curl -s http://localhost:4102/recent-fills | jq '. | length'": ". > 0 and . <= 50",
    "curl -s http://localhost:4104/consensus/stats": (
        '.total_signals >= 1 and .avg_eff_k >= 2 and has("win_rate") and has("avg_result_r")'
    ),
    "curl -s http://localhost:4104/correlation/status": ".measured_pairs > 0 and .latest_date and .coverage_pct > 0",
    "curl -s http://localhost:4104/regime": (
        "[.BTC, .ETH] | all(.regime and (.confidence > 0) and (.params | .stop_multiplier and .kelly_multiplier))"
    ),
    "curl -s http://localhost:4104/execution/logs?limit=5": (
        '.count >= 1 and .count <= 5 and ([.items[].leg] | index("entry")) != null'
    ),
    'curl -s "http://localhost:4104/decisions?symbol=BTC&type=signal&limit=50"': (
        '(.items | all(.symbol == "BTC" and .decision_type == "signal")) and .total == (.items | length)'
    ),
    'curl -s "http://localhost:4104/decisions/stats?days=7"': (
        ".days == 7 and .total == .signals + .skipped + .risk_rejected and (.gates | length) == 7"
    ),
}

QUERIES = {
    "SELECT asset, atr14, mid, ts FROM marks_1m WHERE atr14 IS NOT NULL ORDER BY ts DESC LIMIT 2;": (2, 2),
    "SELECT COUNT(*) AS rows_with_atr FROM marks_1m WHERE atr14 IS NOT NULL;": (1, 1),
    "SELECT addr_a, addr_b, rho, n_buckets FROM trader_corr WHERE as_of_date = (SELECT MAX(as_of_date) FROM "
    "trader_corr) ORDER BY rho DESC LIMIT 10;": (1, 10),
    "SELECT as_of_date, COUNT(*) AS pairs FROM trader_corr GROUP BY as_of_date ORDER BY as_of_date DESC LIMIT 5;": (
        1,
        5,
    ),
    "SELECT id, address, asset, direction, entry_vwap, exit_vwap, result_r, status FROM position_signals WHERE "
    "status = 'closed' ORDER BY exit_ts DESC LIMIT 10;": (1, 10),
    "SELECT id, eff_k, n_traders, n_agreeing FROM consensus_signals ORDER BY created_at DESC LIMIT 10;": (1, 10),
    "SELECT decision_id, kelly_method, kelly_position_pct FROM execution_logs ORDER BY created_at DESC LIMIT 5;": (
        1,
        5,
    ),
    "SELECT enabled, hyperliquid FROM execution_config ORDER BY updated_at DESC LIMIT 1;": (1, 1),
}

METRICS = {
    "decide_atr_stale_total",
    "decide_atr_fallback_total",
    "decide_correlation_stale",
    "decide_effk_value",
    "decide_vote_weight_gini",
    "decide_signal_generated_total",
    "decide_signal_risk_rejected_total",
}


def here(command: str, demo: Demo) -> str:
    """The command with the ports of this demo."""
    return re.sub(r"localhost:41(0[0-4])", lambda found: f"localhost:{demo.base + int(found[1])}", command)


@pytest.mark.parametrize(("command", "claim"), COMMANDS.items())
def test_a_command_of_the_runbook(signalled: Demo, command: str, claim: str) -> None:
    answer = signalled.shell(here(command, signalled))
    said = signalled.shell(f"jq -e '{claim}' <<< \"$ANSWER\"", ANSWER=answer)
    assert said.splitlines()[-1] == "true", answer[:2000]


@pytest.mark.parametrize(("query", "least", "most"), [(query, *rows) for query, rows in QUERIES.items()])
def test_a_query_of_the_runbook(signalled: Demo, query: str, least: int, most: int) -> None:
    def rows() -> int:
        said = signalled.shell(f'psql "$(sigmapilot db url)" -c "{query}"')
        shown = re.search(r"^\((\d+) rows?\)$", said, re.MULTILINE)
        assert shown is not None, said
        return int(shown[1])

    # the first episode that opened and closed before our eyes takes a while
    until(f"{least} rows or more", lambda: rows() >= least, 180, every_s=2)
    assert rows() <= most


@pytest.mark.parametrize(
    ("command", "status_path"),
    [
        ("curl -X POST http://localhost:4103/alpha-pool/refresh?limit=50", "/alpha-pool/refresh/status"),
        ("curl -X POST http://localhost:4104/correlation/compute", None),
    ],
)
def test_a_call_that_starts_work(signalled: Demo, command: str, status_path: str | None) -> None:
    quiet = here(command, signalled).replace("curl", "curl -s -w '\\n%{http_code}'")
    answer, status = signalled.shell(quiet).rsplit("\n", 1)
    assert status == "401"
    assert "Authorization: Bearer <token>" in json.loads(answer)["error"]
    with_token = f'{quiet} -H "Authorization: Bearer $SIGMAPILOT_API_TOKEN"'
    answer, status = signalled.shell(with_token, SIGMAPILOT_API_TOKEN=signalled.token).rsplit("\n", 1)
    assert status == "202"
    run_id = json.loads(answer)["run_id"]
    assert str(uuid.UUID(run_id)) == run_id
    answer, status = signalled.shell(with_token, SIGMAPILOT_API_TOKEN=signalled.token).rsplit("\n", 1)
    assert status == "409"
    assert run_id in json.loads(answer)["error"]
    if status_path is not None:
        progress = signalled.api("GET", status_path, port=3).json()
        assert (progress["run_id"], progress["is_running"]) == (run_id, True)
        assert progress["percent"] is None or 0 <= progress["percent"] < 100


@pytest.mark.parametrize("port", [1, 2, 3, 4])
def test_health_metrics_and_docs_are_on_every_port(signalled: Demo, port: int) -> None:
    assert signalled.api("GET", "/healthz", port=port).json() == {"status": "alive", "mode": "demo"}
    assert signalled.api("GET", "/readyz", port=port).json()["status"] == "ready"
    text = signalled.api("GET", "/metrics", port=port).text
    names = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    families = {family.name for family in text_string_to_metric_families(text)}
    missing = {name for name in METRICS if name not in names and name.removesuffix("_total") not in families}
    assert missing == set()
    assert "SigmaPilot" in signalled.api("GET", "/docs", port=port).text
    assert signalled.api("GET", "/openapi.json", port=port).json()["openapi"].startswith("3.")


def test_a_decision_is_shown_by_its_id_and_a_replay_gives_the_same_bytes(signalled: Demo) -> None:
    for kind in ("signal", "skip"):
        newest = signalled.api("GET", f"/decisions?type={kind}&limit=1").json()["items"][0]
        shown = signalled.api("GET", f"/decisions/{newest['id']}").json()
        assert shown["record"]["id"] == newest["id"]
        done = signalled.sigmapilot("replay", newest["id"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "identical: " in done.stdout
        assert newest["reasoning"] in done.stdout


def test_every_decision_of_the_demo_can_be_made_again(signalled: Demo) -> None:
    done = signalled.sigmapilot("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "nothing was changed, removed or put in"


def test_what_the_stream_writes_appears_in_the_lineage(signalled: Demo) -> None:
    query = """query Assets($k: [AssetKeyInput!]) { assetNodes(assetKeys: $k) { assetKey { path }
        assetMaterializations(limit: 1) { runId metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
    names = ["stream_fills", "stream_episodes", "stream_decisions", "stream_orders"]

    def reported() -> set[str]:
        nodes = signalled.graphql(query, k=[{"path": [name]} for name in names])["assetNodes"]
        return {node["assetKey"]["path"][0] for node in nodes if node["assetMaterializations"]}

    until("the sensor reports all tables", lambda: reported() == set(names), 150, every_s=2)
