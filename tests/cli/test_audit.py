"""`sigmapilot replay` and `sigmapilot verify` over a real database: what is sound, and every kind of damage by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmapilot_cli.audit_checks import difference
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision, append_decisions, append_outcomes
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema.model import model_snapshots
from sigmapilot_core.domain.consensus.chain import chain_of
from sigmapilot_core.domain.consensus.decision import assess, decide, decision_key
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.outcome import ClosedReason, Outcome
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import part_to_json, settings_hash

Command = Callable[..., tuple[int, str, str]]
NOW_MS = int(datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp() * 1000)
PARAMS = Params()
BTC = chain_of("BTC")


def inputs(number: int, coin: str = "BTC") -> DecisionInputs:
    """One trader has bought; almost everything else is unknown, which is a decision as well."""
    price, notional = Decimal("50000.5"), Decimal(200_000)
    voter = Voter("0x1", Direction.LONG, NOW_MS + number - 1, price, notional, ("f",), 0.6, 41.0, 23.0, 15.0, 40)
    return DecisionInputs(
        coin, NOW_MS + number, f"event-{number}", "demo", 1, "0" * 64, settings_hash(PARAMS), (voter,)
    )


def made(number: int, coin: str = "BTC") -> MadeDecision:
    found = inputs(number, coin)
    return MadeDecision(decide(found, PARAMS), found, decision_key(found, assess(found, PARAMS)), 1.0)


@dataclass(frozen=True)
class Log:
    """A database with four decisions on BTC and two on ETH; the outcomes of the first of each are known."""

    engine: sa.Engine
    btc: list[str]

    def damage(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            assert connection.execute(sa.text(statement), values).rowcount > 0


@pytest.fixture
def log(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_url)
    engine = create_engine(pg_url)
    snapshot = {"version": 1, "slow_version": 1, "fast_version": 1, "hash": "0" * 64, "mode": "demo", "pool_size": 1}
    with engine.begin() as connection:
        connection.execute(
            model_snapshots.insert().values(
                **snapshot,
                settings_hash=settings_hash(PARAMS),
                settings=part_to_json(PARAMS),
                pool_flavour="normal",
                published_at=datetime.now(UTC),
            )
        )
        btc = append_decisions(connection, [made(number) for number in range(1, 5)])
        eth = append_decisions(connection, [made(number, "ETH") for number in range(1, 3)])
        for coin, decision_id in (("BTC", btc[0]), ("ETH", eth[0])):
            outcome = Outcome(decision_id, coin, NOW_MS + 9, 51_000.0, 0.5, 0.1, 0.4, ClosedReason.TIMEOUT, 0.9, -0.2)
            append_outcomes(connection, [outcome])
    yield Log(engine, btc)
    engine.dispose()


def test_a_replay_gives_the_same_bytes_and_shows_reasoning_and_gates(log: Log, command: Command) -> None:
    code, said, _ = command("replay", log.btc[0])
    assert code == 0
    assert "1 trader bought BTC" in said
    assert all(gate in said for gate in ("inputs_fresh", "min_traders", "ev_gate", "kill_switch"))
    assert said.splitlines()[-1].startswith("identical: ")


def test_a_replay_of_other_settings_is_refused_in_one_sentence(log: Log, command: Command) -> None:
    log.damage('UPDATE model_snapshots SET settings = replace(settings, \'"min_traders":"3"\', \'"min_traders":"4"\')')
    code, _, error = command("replay", log.btc[0])
    assert (code, len(error.splitlines())) == (1, 1)
    assert "cannot be made again: settings_hash is" in error


def test_a_replay_names_the_first_field_that_differs(log: Log, command: Command) -> None:
    log.damage('UPDATE decision_logs SET record = replace(record, \'"trader_count":"1"\', \'"trader_count":"2"\')')
    code, said, _ = command("replay", log.btc[0])
    assert code == 1
    assert said.splitlines()[-1] == 'different: record.trader_count is "2", made again it is "1"'


def test_records_with_the_same_values_in_another_spelling_differ() -> None:
    assert difference('{"a":"1"}', '{"a": "1"}') == "the same values are spelt differently from character 5 on"
    assert difference('{"a":["1","2"]}', '{"a":["1","3"]}') == 'record.a[1] is "2", made again it is "3"'
    assert difference('{"a":"1"}', '{"a":"1"}') is None


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM decision_inputs WHERE decision_id = :id", "its record of inputs is not stored"),
        ("DELETE FROM model_snapshots WHERE :id = :id", "snapshot 1 is not stored"),
        ("DELETE FROM decision_logs WHERE id = :id", "is no longer stored"),
        ("DELETE FROM decision_ids WHERE id = :id", "there is no decision"),
    ],
)
def test_a_replay_without_its_parts_is_one_sentence(log: Log, command: Command, statement: str, sentence: str) -> None:
    log.damage(statement.replace(":id", "CAST(:id AS uuid)"), id=log.btc[0])
    code, _, error = command("replay", log.btc[0])
    assert (code, len(error.splitlines())) == (1, 1)
    assert sentence in error


def test_a_sound_database_verifies_and_counts_its_rows(log: Log, command: Command) -> None:
    code, said, _ = command("verify")
    assert code == 0
    assert said.splitlines() == [
        "decisions: 6 rows in 2 chains",
        "outcomes: 2 rows in 2 chains",
        "nothing was changed, removed or put in",
    ]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE decision_logs SET record = record || ' ' WHERE id = :id", "row 2 ({id}) is changed: the content of"),
        ("DELETE FROM decision_logs WHERE id = :id", "row 2 is missing: 1 rows before 3 are gone"),
        (
            "INSERT INTO decision_logs SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid()))).*"
            " FROM decision_logs d WHERE id = :id",
            "is inserted: sequence number 2 stands twice",
        ),
        ("UPDATE decision_logs SET reasoning = 'all is well' WHERE id = :id", "is changed: its reasoning is 'all is"),
        ("UPDATE decision_logs SET effective_k = 9 WHERE id = :id", "is changed: its effective_k is 9.0, its record"),
        ("UPDATE decision_logs SET outcome = 'stop' WHERE id = :id", "is changed: its outcome is 'stop', its record"),
        ("UPDATE decision_inputs SET inputs = inputs || ' ' WHERE decision_id = :id", "its inputs are not those its"),
        ("DELETE FROM decision_inputs WHERE decision_id = :id", "row 2 ({id}) is missing its inputs"),
    ],
)
def test_damage_to_a_decision_is_named(log: Log, command: Command, statement: str, sentence: str) -> None:
    log.damage(statement.replace(":id", "CAST(:id AS uuid)"), id=log.btc[1])
    code, said, _ = command("verify")
    assert code == 1
    found = [line for line in said.splitlines() if line.startswith(f"decisions, chain {BTC}: ")]
    assert len(found) == 1
    assert sentence.format(id=log.btc[1]) in found[0]
    assert said.splitlines()[-1] == "damaged chains: 1"


def test_rows_cut_off_at_the_end_are_missed(log: Log, command: Command) -> None:
    log.damage("DELETE FROM decision_logs WHERE id = CAST(:id AS uuid)", id=log.btc[-1])
    code, said, _ = command("verify")
    assert code == 1
    assert f"decisions, chain {BTC}: row 4 is missing: the chain ends at 3, its head is 4" in said


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE ticket_outcomes SET record = record || ' ' WHERE symbol = 'BTC'", "is changed: the content of row 1"),
        ("DELETE FROM ticket_outcomes WHERE symbol = 'BTC'", "row 1 is missing: the chain ends at 0, its head is 1"),
        ("UPDATE ticket_outcomes SET result_r = 3 WHERE symbol = 'BTC'", "its result_r is 3.0, its record says 0.4"),
    ],
)
def test_damage_to_an_outcome_is_named(log: Log, command: Command, statement: str, sentence: str) -> None:
    log.damage(statement)
    code, said, _ = command("verify")
    assert code == 1
    assert any(line.startswith(f"outcomes, chain {BTC}: ") and sentence in line for line in said.splitlines())


def test_without_a_server_both_are_one_sentence(command: Command) -> None:
    for words in (("verify",), ("replay", "00000000-0000-0000-0000-000000000001")):
        code, _, error = command(*words)
        assert (code, len(error.splitlines())) == (1, 1)
        assert "the database of mode demo does not answer (" in error
