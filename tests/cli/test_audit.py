"""`sigmapilot replay` and `sigmapilot verify` over a real database: what is sound, and every kind of damage by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision, append_decisions, append_outcomes
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.consensus.chain import chain_of
from sigmapilot_core.domain.consensus.decision import assess, decide, decision_key
from sigmapilot_core.domain.consensus.difference import difference
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.outcome import ClosedReason, Outcome
from sigmapilot_core.domain.consensus.provenance import SnapshotIndex, foreign_input
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import settings_hash
from tests.domain.engine.engine_builders import snapshot

Command = Callable[..., tuple[int, str, str]]
NOW_MS = int(datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp() * 1000)
PARAMS = Params()
MODEL = replace(snapshot(("0x1",)), settings=PARAMS)
BTC = chain_of("BTC")


def inputs(number: int, coin: str = "BTC") -> DecisionInputs:
    """One trader has bought; almost everything else is unknown, which is a decision as well."""
    price, notional = Decimal("50000.5"), Decimal(200_000)
    voter = Voter("0x1", Direction.LONG, NOW_MS + number - 1, price, notional, ("f",), 0.6, 41.0, 23.0, 15.0, 40)
    slow, figures = MODEL.slow, MODEL.fast.assets[coin]
    return DecisionInputs(
        coin, NOW_MS + number, f"event-{number}", "demo", 1, MODEL.hash, settings_hash(PARAMS), (voter,),
        rho0=slow.rho0,
        volatility=figures.volatility,
        regime=figures.regime,
        hold=slow.hold_hours.get(coin, HoldEstimate(24.0, "default", 0)),
        posterior_as_of_ms=slow.posterior_as_of_ms,
        correlation_as_of_ms=slow.correlation_as_of_ms,
        leaderboard_as_of_ms=slow.leaderboard_as_of_ms,
    )  # fmt: skip


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
    with engine.begin() as connection:
        snapshot_store.publish(connection, MODEL, None)
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
        "inputs: 6 rows",
        "ids: 6 rows",
        "signals: 0 rows",
        "snapshots: 1 rows",
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
    assert said.splitlines()[-1].startswith("damaged: ")


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


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "INSERT INTO decision_inputs SELECT gen_random_uuid(), decided_at, inputs FROM decision_inputs LIMIT 1",
            r"inputs: row [-0-9a-f]{36} of 2026-03-15 12:00:00 is inserted: no decision has this id",
        ),
        (
            "INSERT INTO decision_ids SELECT gen_random_uuid(), decided_at, chain, 99 FROM decision_ids LIMIT 1",
            r"ids: row [-0-9a-f]{36} of 2026-03-15 12:00:00 is inserted: no decision has this id",
        ),
        (
            "DELETE FROM decision_ids WHERE seq = 3",
            r"ids: row [-0-9a-f]{36} is missing: the decision stands in chain \d+ as 3",
        ),
        ("UPDATE decision_ids SET seq = 77 WHERE seq = 4", r"ids: row [-0-9a-f]{36} is changed: it says chain \d+, 77"),
        (
            "INSERT INTO consensus_signals SELECT * FROM jsonb_populate_record(NULL::consensus_signals, "
            "(SELECT jsonb_object_agg(attname, 0) FROM pg_attribute WHERE attrelid = 'consensus_signals'::regclass"
            " AND attnum > 0 AND format_type(atttypid, NULL) IN ('double precision', 'integer'))"
            " || jsonb_build_object('id', gen_random_uuid(), 'symbol', 'BTC', 'direction', '', 'created_at', now()))",
            r"signals: row [-0-9a-f]{36} is inserted: no decision of type signal has this id",
        ),
        (
            "UPDATE model_snapshots SET mode = 'live'",
            r"snapshots: snapshot 1 is changed: parts, settings or mode do not have its hash",
        ),
        (
            "UPDATE model_parts SET content = content || ' '",
            r"snapshots: \w+ part 1 is changed: its content does not have its hash",
        ),
        ("DELETE FROM model_parts WHERE part = 'fast'", r"snapshots: snapshot 1: fast part 1 is missing"),
        ("DELETE FROM model_snapshots", r"snapshots: snapshot 1 is missing: decisions were made with it"),
    ],
)
def test_damage_beside_the_chains_is_named(log: Log, command: Command, statement: str, sentence: str) -> None:
    log.damage(statement)
    code, said, _ = command("verify")
    assert code == 1
    assert any(re.match(sentence, line) for line in said.splitlines()), said


def test_every_decision_of_a_period_is_made_again(log: Log, command: Command) -> None:
    code, said, _ = command("replay", "--all")
    assert code == 0
    assert re.fullmatch(r"6 decisions made again with 1 snapshots in [\d.]+ s: identical byte for byte", said.strip())
    assert command("replay", "--all", "--from", "2026-03-15", "--to", "2026-03-15")[1].startswith("6 decisions")
    assert command("replay", "--all", "--from", "2026-03-16")[1].startswith("0 decisions")
    for words, sentence in (
        (("--from", "x"), "--from is x; allowed is a day such as 2026-03-15."),
        (("--from", "2026-03-15", "--to", "2026-03-14"), "--to is 2026-03-14; allowed is 2026-03-15 or later."),
    ):
        code, _, error = command("replay", "--all", *words)
        assert (code, sentence in error) == (1, True)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (
            'UPDATE decision_logs SET record = replace(record, \'"trader_count":"1"\', \'"trader_count":"2"\')'
            " WHERE id = :id",
            'record.trader_count is "2", made again it is "1"',
        ),
        ("DELETE FROM decision_inputs WHERE decision_id = :id", "its record of inputs is not stored"),
        (
            "UPDATE decision_inputs SET inputs = replace(inputs, 'event-2', 'event-9') WHERE decision_id = :id",
            "its inputs are not those its id was made of",
        ),
        (
            'UPDATE model_parts SET content = replace(content, \'"rank":"1"\', \'"rank":"2"\') WHERE :id = :id',
            "snapshot 1 is damaged",
        ),
    ],
)
def test_each_decision_that_comes_out_differently_is_named(
    log: Log, command: Command, statement: str, what: str
) -> None:
    log.damage(statement.replace(":id", "CAST(:id AS uuid)"), id=log.btc[1])
    code, said, _ = command("replay", "--all")
    assert code == 1
    assert any(log.btc[1] in line and what in line for line in said.splitlines()), said


def test_an_input_that_is_not_the_snapshots_is_named() -> None:
    index = SnapshotIndex.of(MODEL)
    sound = inputs(1)
    assert foreign_input(sound, index) is None
    other = replace(sound, voters=(replace(sound.voters[0], m=0.9),))
    assert foreign_input(other, index).startswith('inputs hold {"voter 0x1":["0.9",')
    assert "rho0" in foreign_input(replace(sound, rho0=0.2), index)
    assert "hold" in foreign_input(replace(sound, hold=None), index)
