"""Alive, ready, and away: what the API says of itself and how it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from api_client import NOWHERE
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from seed_rows import MODE, NOW, fill
from test_ui_api import GETS

from sigmapilot_core.adapters.metrics import Metrics, describe
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig


def ask(engine: sa.Engine, mode: str = MODE) -> TestClient:
    return TestClient(create_app(engine, ApiConfig(mode=mode), NOWHERE), base_url="http://localhost")


def failing(client: TestClient) -> dict[str, str]:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    return {check["name"]: check["detail"] for check in answer.json()["checks"] if check["passed"] is not True}


def test_ready_when_database_mode_snapshot_and_stream_are(filled: sa.Engine) -> None:
    answer = ask(filled).get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert [check["name"] for check in answer.json()["checks"]] == ["database", "mode", "snapshot", "stream"]


def test_alive_but_not_ready_on_an_empty_database(blank: sa.Engine) -> None:
    client = ask(blank)
    assert client.get("/healthz").json() == {"status": "alive", "mode": MODE}
    assert failing(client).keys() == {"mode", "snapshot", "stream"}


def test_a_database_of_another_mode_is_not_ready(filled: sa.Engine) -> None:
    assert failing(ask(filled, "live")) == {"mode": "live is asked for, the database belongs to demo"}


def test_a_silent_stream_and_an_old_snapshot_are_not_ready(pg_url: str) -> None:
    fill(pg_url)
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE stream_status SET updated_at = updated_at - interval '2 hours'"))
        connection.execute(sa.text("UPDATE model_snapshots SET published_at = :at"), {"at": NOW - timedelta(hours=27)})
    found = failing(ask(engine))
    engine.dispose()
    assert found.keys() == {"snapshot", "stream"}
    assert "3600 s are allowed" in found["stream"]
    assert "93600 s are allowed" in found["snapshot"]


def test_without_tables_the_answer_says_who_makes_them(pg_empty_url: str) -> None:
    engine = create_engine(pg_empty_url)
    answer = ask(engine).get("/consensus/stats")
    engine.dispose()
    assert answer.status_code == 503
    assert answer.json() == {"error": "The database has no tables yet; `sigmapilot up` creates them."}


@pytest.fixture
def away() -> sa.Engine:
    return create_engine("postgresql://nobody@/nothing?host=/nonexistent")


WITHOUT_DATABASE = {"/healthz", "/metrics", "/docs", "/openapi.json", "/regime/params"}


@pytest.mark.parametrize("path", [path for path in GETS if path not in WITHOUT_DATABASE])
def test_a_database_that_is_away_is_one_sentence(away: sa.Engine, path: str) -> None:
    answer = ask(away).get(path)
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("The database does not answer")
    assert "nonexistent" not in answer.text


def test_alive_metrics_and_readiness_answer_without_a_database(away: sa.Engine) -> None:
    client = ask(away)
    assert client.get("/healthz").status_code == 200
    assert failing(client).keys() == {"database"}
    assert "sigmapilot_db_up 0.0" in client.get("/metrics").text


def test_recovers_by_itself_when_the_database_comes_back(pg_url: str) -> None:
    engine = create_engine(pg_url)
    client, name = ask(engine), sa.engine.make_url(pg_url).database
    assert client.get("/consensus/stats").status_code == 200
    admin = create_engine(pg_url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # every pooled connection dies, as in a restart of the server
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = :name AND usename = current_user AND pid <> pg_backend_pid()"
            ),
            {"name": name},
        )
    admin.dispose()
    assert client.get("/consensus/stats").status_code == 200
    engine.dispose()


def test_metrics_are_declared_ones_and_tell_what_the_rows_say(filled: sa.Engine) -> None:
    client = ask(filled)
    client.get("/consensus/stats")
    text = client.get("/metrics").text
    declared = {line.split()[0].removesuffix("_total") for line in describe()}
    found = {family.name: family for family in text_string_to_metric_families(text)}
    own = {name for name in found if not name.startswith("sigmapilot_api_process_") and not name.endswith("_created")}
    assert own <= declared
    assert found["sigmapilot_db_win_rate_pct_7d"].samples[0].value == 40.0
    assert found["sigmapilot_db_up"].samples[0].value == 1
    assert found["sigmapilot_stream_metrics_up"].samples[0].value == 0
    fallback = {s.labels["asset"]: s.value for s in found["sigmapilot_db_volatility_fallback"].samples}
    assert fallback == {"BTC": 0, "ETH": 1, "SOL": 1}
    requests = {s.labels["route"] for s in found["sigmapilot_api_requests"].samples if s.name.endswith("_total")}
    assert "/consensus/stats" in requests


@pytest.fixture
def stream_url() -> Iterator[str]:
    """The stream's metrics as its own process serves them."""
    metrics = Metrics(CollectorRegistry())
    metrics.decide_signal_generated_total.labels("BTC", "long").inc(3)
    metrics.decide_vote_weight_gini.set(0.0)
    server, thread = start_http_server(0, "127.0.0.1", metrics.registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_streams_metrics_are_shown_beside_the_apis_own(filled: sa.Engine, stream_url: str) -> None:
    config = ApiConfig(mode=MODE, stream_metrics_url=stream_url)
    client = TestClient(create_app(filled, config, NOWHERE), base_url="http://localhost")
    text = client.get("/metrics").text
    assert 'decide_signal_generated_total{direction="long",symbol="BTC"} 3.0' in text
    assert "sigmapilot_stream_metrics_up 1.0" in text
    names = [family.name for family in text_string_to_metric_families(text)]
    assert len(names) == len(set(names)), "a family stands once in an exposition"
    assert "decide_" not in client.get("/metrics?source=api").text
    assert client.get("/data-health").json()["weight_distribution"] == {"gini": 0.0, "saturation_pct": None}


def test_what_is_unknown_is_not_exported(blank: sa.Engine) -> None:
    text = ask(blank).get("/metrics").text
    assert "sigmapilot_db_up 1.0" in text
    assert "sigmapilot_db_win_rate_pct_7d" not in text
    assert "sigmapilot_db_last_signal_age_seconds" not in text
    assert "sigmapilot_db_dead_records_unresolved 0.0" in text


def test_completeness_of_the_feed_is_in_the_answer_with_its_cells_and_a_warning(filled: sa.Engine) -> None:
    found = ask(filled).get("/data-health").json()
    completeness = found["completeness"]
    assert (completeness["compared"], completeness["missing_silent"]) == (1000, 2)
    assert (completeness["share_present"], completeness["verdict"]) == (0.998, "fail")
    assert [(row["coin"], row["missing_silent"]) for row in completeness["cells"]] == [("BTC", 2), ("ETH", 0)]
    assert "the feed stored 99.80 % of 1000 sampled fills as listed, 99.9 % are demanded" in found["warnings"]
    assert {gap["missed_fills"] for gap in found["feed_gaps"]} <= {None, 0, 2}
