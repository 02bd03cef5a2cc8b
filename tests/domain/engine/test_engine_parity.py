"""Claim: what the engine remembers between decisions never shows: each is the one made of its inputs alone."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.traffic import Load, opening, trading
from sigmapilot_core.domain.canonical import plain
from sigmapilot_core.domain.consensus.decision import assess, decide, seal
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, without_unknowns
from sigmapilot_core.domain.engine.ballots import build_inputs
from sigmapilot_core.domain.engine.electorate import Electorate
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import Event, TimerFired, TradesReceived
from sigmapilot_core.domain.engine.outputs import DecisionMade, NextTimer
from sigmapilot_core.domain.traders import effective_k
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.effective_k import PairMatrix
from tests.domain.engine.engine_builders import World, snapshot, trader

ADDRESSES = [trader(number) for number in range(8)]


def driven(load: Load) -> Iterator[tuple[Engine, Event, list[DecisionMade]]]:
    """The engine after every event of a load, timers included, with the decisions the event led to."""
    engine, deadline = Engine("0"), None
    for event in opening(load) + trading(load):
        due: list[Event] = []
        if deadline is not None and deadline <= event.now_ms:
            due = [TimerFired(deadline, event.seq)]
        for one in [*due, event]:
            made = []
            for output in engine.apply(one):
                if isinstance(output, NextTimer):
                    deadline = output.deadline_ms
                elif isinstance(output, DecisionMade):
                    made.append(output)
            yield engine, one, made


def check_written(made: DecisionMade) -> None:
    """A decision against the one that is computed from the text of its inputs, where nothing is remembered."""
    text = made.inputs.to_json()
    assert text == json.dumps(plain(made.inputs), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    clear = DecisionInputs.from_json(text)
    assert decide(clear, snapshot().settings).to_json() == made.decision.to_json()
    assert clear.to_json() == text


def check_unwritten(engine: Engine, event: TradesReceived) -> None:
    """The decision that would be made on the event's coin now, with and without what the engine remembers."""
    core = engine._core
    state, model = core.coins[event.trades[0].coin], core.model
    assert model is not None
    fast = without_unknowns(build_inputs(core, model, state, event.now_ms, "t"), finite=("pairs", "voters"))
    fresh = replace(state, electorate=Electorate())
    clear = without_unknowns(build_inputs(core, model, fresh, event.now_ms, "t"))
    assert fast == clear
    agreeing = sorted(v.address for v in clear.voters if v.direction is assess(clear, model.params).direction)
    by_pair = {(pair.addr_a, pair.addr_b): pair for pair in model.snapshot.slow.pairs}
    assert clear.pairs == tuple(by_pair[key] for key in itertools.combinations(agreeing, 2) if key in by_pair)
    assert seal(fast, assess(fast, model.params, model.measured)) == decide(clear, model.params)


def check_load(load: Load) -> tuple[int, int]:
    """(decisions written, prefixes compared)."""
    n_written = n_compared = 0
    for engine, event, written in driven(load):
        for made in written:
            check_written(made)
        n_written += len(written)
        if isinstance(event, TradesReceived) and engine.coins[event.trades[0].coin].vote_set.votes:
            check_unwritten(engine, event)
            n_compared += 1
    return n_written, n_compared


def test_every_decision_of_a_busy_market_is_that_of_the_clear_form_at_every_prefix() -> None:
    n_written, n_compared = check_load(Load(150, 0.5, voters=20))
    assert n_written >= 20
    assert n_compared > 100


@pytest.mark.slow
@pytest.mark.parametrize("load", [Load(1_500, 1.0, seed=2), Load(2_000, 0.1, seed=3), Load(1_000, 1.0, 3, seed=4)])
def test_long_loads_are_those_of_the_clear_form_at_every_prefix(load: Load) -> None:
    n_written, n_compared = check_load(load)
    assert n_written > 30
    assert n_compared > 300


def test_a_new_model_is_decided_with_at_once() -> None:
    world = World.ready()
    world.consensus()
    doubtful = replace(snapshot(version=2, rho0=0.2).slow, pairs=())
    world.activate(replace(snapshot(version=2), slow=doubtful))
    check_written(world.consensus(side="sell"))
    assert world.consensus(side="buy").decision.measured_share == 0.0


def test_a_snapshot_with_the_same_slow_part_keeps_what_was_laid_out() -> None:
    world = World.ready()
    before = world.engine._core.model
    world.activate(replace(snapshot(version=2), fast_version=2))
    after = world.engine._core.model
    assert before is not None
    assert after is not None
    assert after.measured is before.measured
    assert after.snapshot.version == 2
    assert after.hash == after.snapshot.hash


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.permutations(ADDRESSES), st.integers(0, 8))
def test_k_of_the_laid_out_pairs_is_that_of_pair_by_pair_to_the_last_bit(seed: int, order: list[str], n: int) -> None:
    rng = random.Random(seed)
    pairs = [
        PairCorrelation(a, b, rng.choice((None, rng.random())), rng.randrange(500), 0, None)
        for a, b in itertools.combinations(ADDRESSES, 2)
        if rng.random() < 0.7
    ]
    rho0, voters, weights = rng.uniform(0, 0.24), order[:n], [rng.choice((0.0, rng.random())) for _ in range(n)]
    found = PairMatrix(ADDRESSES, pairs, rho0).assess(voters, weights)
    assert found == effective_k.assess(voters, weights, effective_k.by_pair(pairs), rho0)
