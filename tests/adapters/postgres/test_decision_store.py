"""The decision log: written once, sealed in chains, followed to its end; every kind of damage is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import decision_store
from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, OUTCOMES, MadeDecision
from sigmapilot_core.domain.consensus.chain import Damage, chain_of
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.outcome import ClosedReason, Followed, Outcome, follow
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.engine.outputs import DecisionMade
from sigmapilot_core.domain.events import Direction
from tests.domain.engine.engine_builders import POOL, T0, World

BTC = chain_of("BTC")


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    return rolled_back


@pytest.fixture(scope="module")
def made() -> list[MadeDecision]:
    """Five traders buy BTC one after the other: two skips, a signal, and what its cooldown rejects."""
    world = World.ready()
    world.consensus(users=POOL)
    return [MadeDecision(o.decision, o.inputs, o.key, 12.5) for o in world.said(DecisionMade)]


def outcome_of(item: MadeDecision) -> Outcome:
    return Outcome(item.decision.id, item.decision.asset, T0 + 60_000, 51_000.0, 1.0, 0.1, 0.9,
                   ClosedReason.TAKE_PROFIT, 1.2, -0.1)  # fmt: skip


def heads(connection: sa.Connection) -> list[tuple[str, int, int, str]]:
    query = "SELECT log, chain, seq, row_hash FROM chain_heads ORDER BY log, chain"
    return [tuple(row) for row in connection.execute(sa.text(query))]


def test_the_same_decisions_again_change_nothing(connection: sa.Connection, made: list[MadeDecision]) -> None:
    ids = [item.decision.id for item in made]
    assert decision_store.append_decisions(connection, made) == ids
    before = heads(connection)
    assert decision_store.append_decisions(connection, made) == []
    assert decision_store.append_decisions(connection, []) == []
    assert heads(connection) == before
    count = connection.execute(sa.text("SELECT count(*) FROM decision_logs")).scalar_one()
    assert (count, before[0][2]) == (len(made), len(made))


def test_a_row_shows_what_its_record_says(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    for item in made:
        row = connection.execute(sa.text("SELECT * FROM decision_logs WHERE id = :id"), {"id": item.decision.id}).one()
        assert row.record == item.decision.to_json()
        assert (row.symbol, row.decision_type) == ("BTC", item.decision.decision_type.value)
        assert (row.effective_k, row.price_at_decision) == (item.decision.effective_k, item.decision.mid)
        assert (row.decision_key, row.latency_ms) == (item.key, 12.5)
    stored = connection.execute(sa.text("SELECT inputs FROM decision_inputs ORDER BY decided_at")).scalars().all()
    assert [DecisionInputs.from_json(text) for text in stored] == [item.inputs for item in made]


def test_only_signals_stand_among_the_signals(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    signals = connection.execute(sa.text("SELECT id, eff_k, ev_net_r FROM consensus_signals")).all()
    (wanted,) = [item.decision for item in made if item.decision.decision_type is DecisionType.SIGNAL]
    assert wanted.ev is not None
    assert [(str(row.id), row.eff_k, row.ev_net_r) for row in signals] == [
        (wanted.id, wanted.effective_k, wanted.ev.net_r)
    ]
    assert decision_store.last_signals(connection) == {"BTC": wanted.decided_at_ms}


def test_a_restart_reads_the_newest_key_of_each_asset(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    day = connection.execute(sa.text("SELECT min(decided_at) - interval '1 day' FROM decision_logs")).scalar_one()
    assert decision_store.last_keys(connection, day) == {"BTC": made[-1].key}


def test_chains_of_decisions_and_outcomes_are_sound(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    decision_store.append_outcomes(connection, [outcome_of(made[2])])
    for log, rows in ((DECISIONS, len(made)), (OUTCOMES, 1)):
        found = decision_store.verify_chain(connection, log, BTC)
        assert (found.finding, found.n_rows, found.head.seq) == (None, rows, rows)
    assert decision_store.verify_chain(connection, DECISIONS, (BTC + 1) % 16).n_rows == 0


@pytest.mark.parametrize(
    ("tampering", "damage", "seq"),
    [
        ("UPDATE decision_logs SET record = replace(record, 'BTC', 'ETH') WHERE seq = 2", Damage.CHANGED, 2),
        ("UPDATE decision_logs SET row_hash = repeat('a', 64) WHERE seq = 3", Damage.CHANGED, 3),
        ("DELETE FROM decision_logs WHERE seq = 1", Damage.MISSING, 1),
        ("DELETE FROM decision_logs WHERE seq = 3", Damage.MISSING, 3),
        ("DELETE FROM decision_logs WHERE seq = 5", Damage.MISSING, 5),
        ("UPDATE decision_logs SET seq = seq + 1 WHERE seq = 5", Damage.MISSING, 5),
    ],
    ids=["content", "hash", "first gone", "middle gone", "last gone", "renumbered"],
)
def test_each_tampering_is_named(
    connection: sa.Connection, made: list[MadeDecision], tampering: str, damage: Damage, seq: int
) -> None:
    decision_store.append_decisions(connection, made)
    assert connection.execute(sa.text(tampering)).rowcount == 1
    finding = decision_store.verify_chain(connection, DECISIONS, BTC).finding
    assert finding is not None
    assert (finding.damage, finding.chain, finding.seq) == (damage, BTC, seq)


def test_a_row_put_in_is_named(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    connection.execute(
        sa.text(
            "INSERT INTO decision_logs SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(),"
            " 'seq', 6))).* FROM decision_logs d WHERE seq = 5"
        )
    )
    finding = decision_store.verify_chain(connection, DECISIONS, BTC).finding
    assert finding is not None
    assert finding.damage is Damage.INSERTED


def test_a_chain_goes_on_from_its_anchor(connection: sa.Connection, made: list[MadeDecision]) -> None:
    decision_store.append_decisions(connection, made)
    connection.execute(
        sa.text(
            "INSERT INTO chain_anchors (log, chain, seq, row_hash)"
            " SELECT 'decisions', chain, seq, row_hash FROM decision_logs WHERE seq = 3"
        )
    )
    connection.execute(sa.text("DELETE FROM decision_logs WHERE seq <= 3"))
    found = decision_store.verify_chain(connection, DECISIONS, BTC)
    assert (found.finding, found.n_rows) == (None, len(made) - 3)


def test_an_outcome_is_stored_once_and_shown_beside_its_decision(
    connection: sa.Connection, made: list[MadeDecision]
) -> None:
    decision_store.append_decisions(connection, made)
    ended = outcome_of(made[2])
    decision_store.store_followed(connection, [followed(ended.decision_id)])
    assert decision_store.append_outcomes(connection, [ended]) == [ended.decision_id]
    assert decision_store.append_outcomes(connection, [replace(ended, result_r=-1.0)]) == []
    for query in (
        "SELECT outcome, outcome_r_multiple FROM decision_logs WHERE id = :id",
        "SELECT outcome, result_r FROM consensus_signals WHERE id = :id",
    ):
        assert connection.execute(sa.text(query), {"id": ended.decision_id}).one() == ("take_profit", 0.9)
    assert decision_store.read_followed(connection) == []
    assert decision_store.verify_chain(connection, DECISIONS, BTC).finding is None  # outcomes are not in its hashes


def followed(decision_id: str, coin: str = "BTC") -> Followed:
    return follow(decision_id, coin, Direction.LONG, T0, 50_000.0, 0.02, 0.1)


def test_followed_decisions_come_back_as_they_were(connection: sa.Connection, made: list[MadeDecision]) -> None:
    states = [followed(item.decision.id) for item in made[:2]]
    decision_store.store_followed(connection, states)
    on = [replace(states[0], mfe_r=0.5), states[1]]
    decision_store.store_followed(connection, on)
    assert sorted(decision_store.read_followed(connection), key=lambda f: f.decision_id) == sorted(
        on, key=lambda f: f.decision_id
    )
