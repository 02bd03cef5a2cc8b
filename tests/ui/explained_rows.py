"""A database with real decisions of every kind: made by the domain, stored by the store, with inputs and snapshot."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import decision_store, snapshot_store
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision
from sigmapilot_core.adapters.postgres.schema.stream import meta
from sigmapilot_core.domain.consensus.decision import assess, decide, decision_key
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.outcome import ClosedReason, Outcome
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from tests.domain.engine.engine_builders import snapshot

sys.path.insert(0, str(Path(__file__).parents[1] / "domain" / "consensus"))
from decision_builders import NOW, PARAMS, SHORT, book, inputs, ordered, pairs, risk, voter, voters

STARTED = datetime.fromtimestamp(NOW / 1000, UTC)
RUN = "5d1c0f9a-2b77-4a51-9f0e-6f6a3a0c9d11"


def trader(number: int) -> str:
    """An address."""
    return f"0x{number:040x}"


def varied(count: int, against: int = 0) -> tuple[Voter, ...]:
    """Voters of different records, prices and sizes."""
    found = []
    for n in range(1, count + against + 1):
        side = {} if n <= count else {"direction": SHORT}
        price, notional = Decimal(50_000 - 3 * n), Decimal(60_000 * n)
        record = {"m": 0.75 - 0.11 * n, "kappa": 9.0 + 14 * n, "n_episodes": 10 + 19 * n}
        found.append(voter(n, address=trader(n), price=price, notional=notional, **record, **side))  # type: ignore[arg-type]
    return ordered(found)


def correlated(found: tuple[Voter, ...]) -> tuple[PairCorrelation, ...]:
    """Most pairs measured, each differently; the last one is not."""
    made = pairs(found)
    return tuple(
        replace(pair, rho=None if i == len(made) - 1 else 0.04 + 0.06 * i, n_buckets=30 + 9 * i)
        for i, pair in enumerate(made)
    )


def kinds() -> dict[str, DecisionInputs]:
    """A signal, skips for several reasons, a risk reject."""
    group, split = varied(4), varied(3, 2)
    copies = varied(5)
    return {
        "signal": inputs(group, pairs=correlated(group)),
        "supermajority": inputs(split, pairs=correlated(split)),
        "copies": inputs(copies, pairs=pairs(copies, 0.93)),
        "cheap": inputs(voters(3, m=0.05)),
        "no_book": inputs(group, pairs=correlated(group), book=None),
        "drift": inputs(group, book=book(Decimal(51_000))),
        "risk_reject": inputs(
            group, pairs=correlated(group), risk=replace(risk(), loss_streak=5, loss_at_ms=NOW - 9000)
        ),
    }


def fill(engine: sa.Engine) -> dict[str, str]:
    """Store them, with a snapshot and its runs; returns the ids by kind."""
    with engine.begin() as connection:
        connection.execute(meta.insert().values(key="mode", value="demo"))
        draft = replace(snapshot(), settings=PARAMS, published_at_ms=NOW - 60_000)
        published = snapshot_store.publish(connection, draft, RUN)
        assert published is not None
        for part, asset in (("slow", "model_traders__pool"), ("slow", "model_traders__correlations"),
                            ("fast", "model_market__volatility")):  # fmt: skip
            snapshot_store.store_runs(connection, part, 1, {asset: (RUN, STARTED - timedelta(minutes=3))})
        made = {}
        for n, (kind, found) in enumerate(kinds().items()):
            item = replace(found, trigger_event_id=f"0-{n}")
            key = decision_key(item, assess(item, PARAMS))
            made[kind] = MadeDecision(decide(item, PARAMS), item, key, 1.5)
        decision_store.append_decisions(connection, list(made.values()))
        signal = made["signal"].decision.id
        outcome = Outcome(signal, "BTC", NOW + 9_000, 51_000.0, 0.9, 0.1, 0.8, ClosedReason.TAKE_PROFIT, 2.0, -0.2)
        decision_store.append_outcomes(connection, [outcome])
    return {kind: item.decision.id for kind, item in made.items()}
