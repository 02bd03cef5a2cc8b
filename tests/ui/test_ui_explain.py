"""Decisions laid open over HTTP, on the command line and on the page; the log as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import explained_rows
import polars as pl
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest

from sigmapilot_cli.main import app
from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_core.adapters.postgres import export
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.export import ExportFilter, ExportFormat, exported
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.traders.pseudonym import pseudonym
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig

Command = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Log:
    """A database with one decision of each kind."""

    url: str
    engine: sa.Engine
    ids: dict[str, str]


@pytest.fixture(scope="module")
def log(pg_server: EmbeddedServer, pg_template: str) -> Iterator[Log]:
    url = pg_server.paths.url("ui_explained", driver="psycopg")
    ensure_database(url, template=pg_template)
    engine = create_engine(url)
    yield Log(url, engine, explained_rows.fill(engine))
    engine.dispose()
    drop_database(url)


@pytest.fixture(scope="module")
def client(log: Log) -> Iterator[TestClient]:
    config = ApiConfig(mode="demo", dagster_url="http://127.0.0.1:3000")
    with TestClient(
        create_app(log.engine, config, DagsterGraphql("http://127.0.0.1:9")), base_url="http://localhost"
    ) as one:
        yield one


@pytest.fixture
def command(log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", log.url)
    monkeypatch.setenv("SIGMAPILOT_HOME", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["sigmapilot", *words])
        with pytest.raises(SystemExit) as ended:
            app()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("kind", explained_rows.kinds())
def test_every_kind_of_decision_is_laid_open_and_is_the_stored_one(client: TestClient, log: Log, kind: str) -> None:
    found = client.get(f"/decisions/{log.ids[kind]}/explanation").json()
    assert found["is_same"] is True
    told = found["explanation"]
    assert told["decision_id"] == log.ids[kind]
    assert [gate["name"] for gate in told["gates"]] == list(GATE_NAMES)
    failed = {gate["name"] for gate in told["gates"] if gate["verdict"] != "pass"}
    assert {answer["gate"] for answer in told["counterfactuals"]} == failed
    assert {run["url"] for run in found["runs"]} == {f"http://127.0.0.1:3000/runs/{explained_rows.RUN}"}
    assert {run["part"] for run in found["runs"]} == {"slow", "fast"}


def test_the_text_names_traders_by_pseudonym_only(client: TestClient, log: Log) -> None:
    answer = client.get(f"/decisions/{log.ids['signal']}/explanation?format=text")
    assert answer.headers["content-type"].startswith("text/plain")
    for part in (
        "VOTERS",
        "EXPECTED VALUE",
        "WHERE IT COMES FROM",
        "the same bytes",
        pseudonym(explained_rows.trader(1)),
    ):
        assert part in answer.text
    whole = answer.text + client.get(f"/decisions/{log.ids['signal']}/explanation").text
    assert not any(explained_rows.trader(n) in whole for n in range(1, 6))


def test_an_unknown_decision_is_404_and_one_without_inputs_409(client: TestClient, log: Log) -> None:
    missing = client.get("/decisions/00000000-0000-0000-0000-000000000001/explanation")
    assert (missing.status_code, list(missing.json())) == (404, ["error"])
    with log.engine.begin() as connection:
        bound = {"id": log.ids["drift"]}
        kept = connection.execute(sa.text("SELECT inputs FROM decision_inputs WHERE decision_id = :id"), bound).scalar()
        connection.execute(sa.text("UPDATE decision_inputs SET inputs = '{}' WHERE decision_id = :id"), bound)
    broken = client.get(f"/decisions/{log.ids['drift']}/explanation")
    with log.engine.begin() as connection:
        restore = sa.text("UPDATE decision_inputs SET inputs = :kept WHERE decision_id = :id")
        connection.execute(restore, bound | {"kept": kept})
    assert broken.status_code == 409
    assert "cannot be explained" in broken.json()["error"]


def test_csv_and_parquet_hold_the_same_decisions(client: TestClient, log: Log) -> None:
    text = client.get("/decisions/export?format=csv")
    assert text.headers["content-disposition"] == 'attachment; filename="decisions.csv"'
    lines = list(csv.DictReader(io.StringIO(text.text)))
    frame = pl.read_parquet(io.BytesIO(client.get("/decisions/export?format=parquet").content))
    assert frame.columns == list(export.COLUMNS) == list(lines[0])
    assert frame["id"].to_list() == [line["id"] for line in lines]
    assert set(frame["id"]) == set(log.ids.values())
    assert frame["decided_at"].dtype == pl.Datetime("us", "UTC")
    (ended,) = frame.filter(pl.col("outcome").is_not_null()).to_dicts()
    assert (ended["id"], ended["outcome"], ended["result_r"]) == (log.ids["signal"], "take_profit", 0.8)
    unknown = next(line for line in lines if line["id"] == log.ids["no_book"])
    assert unknown["ev_net_r"] == "", "unknown is an empty cell, not a zero"


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("type=signal", {"signal"}),
        ("type=risk_reject&symbol=BTC", {"risk_reject"}),
        ("symbol=ETH", set()),
        (f"until={explained_rows.STARTED:%Y-%m-%dT%H:%M:%S}", set()),
        (f"since={explained_rows.STARTED:%Y-%m-%dT%H:%M:%S}&type=signal", {"signal"}),
    ],
)
def test_filters_by_time_symbol_and_type(client: TestClient, log: Log, query: str, kinds: set[str]) -> None:
    lines = list(csv.DictReader(io.StringIO(client.get(f"/decisions/export?{query}").text)))
    assert {line["id"] for line in lines} == {log.ids[kind] for kind in kinds}


def test_an_export_that_is_not_allowed_is_one_sentence(client: TestClient) -> None:
    for query in ("since=2026-01-02&until=2026-01-01", "format=xlsx", "since=soon"):
        answer = client.get(f"/decisions/export?{query}")
        assert (answer.status_code, list(answer.json())) == (400, ["error"]), query


def test_an_export_comes_in_pieces_and_holds_no_more_than_one_group(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", 2)
    monkeypatch.setattr(export, "GROUP_ROWS", 2)
    largest = 0
    real = export._table

    def counted(rows: list[sa.Row]) -> object:
        nonlocal largest
        largest = max(largest, len(rows))
        return real(rows)

    monkeypatch.setattr(export, "_table", counted)
    with log.engine.connect() as connection:
        pieces = list(exported(connection, ExportFilter(), ExportFormat.PARQUET))
    assert (largest, len(pieces)) == (2, 4)
    assert len(pl.read_parquet(io.BytesIO(b"".join(pieces)))) == len(log.ids)
    with log.engine.connect() as connection:
        assert len(list(exported(connection, ExportFilter(), ExportFormat.CSV))) == 5


def test_text_that_begins_like_a_formula_is_text_in_a_spreadsheet() -> None:
    assert [export._cell(value) for value in ("=1+1", "-x", "@a", "long", -1.5, None)] == [
        "'=1+1", "'-x", "'@a", "long", -1.5, None
    ]  # fmt: skip


def test_the_command_explains_and_exports(log: Log, command: Command, tmp_path: Path) -> None:
    code, said, _ = command("explain", log.ids["supermajority"])
    assert code == 0
    assert "had one opponent not voted" in said
    assert f"/runs/{explained_rows.RUN}" in said
    code, said, _ = command("explain", log.ids["signal"], "--json")
    assert json.loads(said)["explanation"]["counterfactuals"] == []
    code, _, error = command("explain", "00000000-0000-0000-0000-000000000001")
    assert (code, error) == (1, "sigmapilot: there is no decision 00000000-0000-0000-0000-000000000001.\n")

    target = tmp_path / "log.parquet"
    code, said, _ = command("export", "--format", "parquet", "--out", str(target), "--type", "skip")
    assert code == 0
    assert len(pl.read_parquet(target)) == 5
    assert [path.name for path in tmp_path.glob("*.part")] == []
    code, _, error = command("export", "--out", str(tmp_path / "none" / "x.csv"))
    assert (code, len(error.splitlines())) == (1, 1)


def script(engine: object) -> None:  # run as a script of its own: it knows no import of this file
    from sigmapilot_ui.status_page.page import Page, draw

    draw(Page(engine, "demo", dagster_url="http://127.0.0.1:3000"))


@pytest.mark.parametrize("kind", ["signal", "no_book", "risk_reject"])
def test_the_page_lays_a_decision_open(log: Log, kind: str) -> None:
    page = AppTest.from_function(script, kwargs={"engine": log.engine}, default_timeout=30)
    page.session_state["section"] = "Explain"
    page.query_params["decision"] = log.ids[kind]
    page.run()
    assert not page.exception, page.exception
    text = "\n".join([*(e.proto.body for e in page.get("html")), *(e.value for e in page.get("subheader"))])
    for part in ("✓ same bytes", "Voters", "Expected value, step by step", "Where it comes from"):
        assert part in text
    tables = "\n".join(element.value.to_string() for element in page.dataframe)
    assert pseudonym(explained_rows.trader(1)) in tables
    assert explained_rows.trader(1) not in text + tables


def test_a_decision_asked_for_in_the_log_opens_in_its_section(log: Log) -> None:
    page = AppTest.from_function(script, kwargs={"engine": log.engine}, default_timeout=30)
    page.session_state["section"] = "Signals"
    page.run()
    page.button(key=f"explain_{log.ids['copies']}").click().run()
    assert not page.exception, page.exception
    assert page.session_state["section"] == "Explain"
    assert page.selectbox(key="explained_decision").value == log.ids["copies"]
