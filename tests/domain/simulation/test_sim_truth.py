"""The truth is right, and out of reach of whoever holds the source."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from sim_worlds import EPOCH_MS, small_settings

import sigmapilot_core
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.live import WorldInput
from sigmapilot_core.domain.simulation.settings import Profile
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World

PLAIN = (int, float, str, bool, bytes, Decimal, Enum, type(None))


def public_values(source: WorldSource) -> Iterable[tuple[str, object]]:
    """What every public attribute is, and what every public method answers."""
    user, now_ms = next(iter(source.users())), source.now_ms
    arguments = {
        "coin": "BTC", "user": user, "start_ms": now_ms - DAY_MS, "end_ms": now_ms, "to_ms": now_ms + 1_000,
        "interval_ms": HOUR_MS, "depth": 5, "limit": 5, "as_of_ms": now_ms, "at_ms": now_ms + 60_000, "kind": "info",
        "direction": 1, "sigmas": 1.0, "after_ms": now_ms,
    }  # fmt: skip
    for name in sorted(name for name in dir(source) if not name.startswith("_")):
        value = getattr(source, name)
        if not callable(value):
            yield name, value
            continue
        wanted = inspect.signature(value).parameters
        yield name, value(**{key: arguments[key] for key in wanted})


def parts(value: object) -> Iterable[object]:
    """Everything public inside a value, however deep."""
    yield value
    if isinstance(value, PLAIN):
        return
    if dataclasses.is_dataclass(value):
        inner: Iterable[object] = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, Iterable):
        inner = list(value)[:50]
    else:
        inner = [getattr(value, name) for name in dir(value) if not name.startswith("_")]
    for part in inner:
        yield from parts(part)


def test_nothing_public_of_a_source_leads_to_the_truth() -> None:
    source = WorldSource(World(small_settings(profile=Profile.DEMO)))
    allowed = ("sigmapilot_core.domain.events", "sigmapilot_core.domain.venue")
    kinds = {kind.name.lower() for kind in Kind}
    seen = 0
    for name, value in public_values(source):
        for part in parts(value):
            seen += 1
            if isinstance(part, PLAIN):
                assert part not in kinds, name
            elif not isinstance(part, (tuple, list, dict)):
                home = type(part).__module__
                is_batch = home == "sigmapilot_core.domain.simulation.tape"
                assert home in allowed or is_batch or isinstance(part, WorldInput), f"{name} gives {type(part)}"
            assert not isinstance(part, (Truth, World, np.ndarray)), name
    assert seen > 500


def test_a_source_has_no_public_attribute_beyond_the_port_and_the_inputs() -> None:
    from sigmapilot_core.ports import VenueSource

    port = {name for name in dir(VenueSource) if not name.startswith("_")}
    public = {name for name in dir(WorldSource) if not name.startswith("_")}
    assert public - port == {"inputs", "mark_ready", "inject_event", "led_coin"}
    with pytest.raises(AttributeError):
        WorldSource(World(small_settings())).truth = 1  # type: ignore[attr-defined]


def test_only_the_evaluation_may_import_the_truth() -> None:
    root = Path(sigmapilot_core.__file__).parents[1]
    for package in ("sigmapilot_core", "sigmapilot_assets", "sigmapilot_stream", "sigmapilot_ui", "sigmapilot_cli"):
        for path in (root / package).rglob("*.py"):
            text = path.read_text()
            if "truth" in text and "evaluation" not in str(path.relative_to(root)):
                names = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom | ast.Import)]
                assert not any("simulation.truth" in ast.unparse(node) for node in names), path


def test_skill_has_an_edge_and_its_absence_costs(world: World, truth: Truth) -> None:
    edges: dict[str, list[float]] = {}
    for user in world.population.addresses[:300]:
        edge = truth.edge(user, EPOCH_MS)
        assert (edge is None) == (truth.kind(user) in {"maker", "hft", "master"})
        if edge is not None:
            assert edge.net_r < edge.gross_r
            edges.setdefault(truth.kind(user), []).append(edge.net_r)
    assert min(edges["skilled"]) > 0.1
    assert -0.15 < np.mean(edges["unskilled"]) < 0


def test_an_edge_fades_with_its_trader(world: World, truth: Truth) -> None:
    faded = 0
    for user in (a for a in world.population.addresses[:300] if truth.kind(a) == "fading"):
        until = int(world.population.traits["skilled_until"][world.population.index_of[user]])
        before, after = truth.edge(user, until - 1), truth.edge(user, until + 1)
        assert before is not None
        assert after is not None
        assert truth.is_skilled(user, until - 1)
        assert not truth.is_skilled(user, until + 1)
        faded += before.net_r > after.net_r + 0.1
    assert faded >= 12


def test_a_copy_is_as_good_as_its_leader(world: World, truth: Truth) -> None:
    for user in (a for a in world.population.addresses[:300] if truth.kind(a) == "copy"):
        leader = truth.leader(user)
        assert leader is not None
        assert truth.edge(user, EPOCH_MS) == truth.edge(leader, EPOCH_MS)
        assert truth.is_skilled(user, EPOCH_MS) == (truth.kind(leader) == "skilled")


def test_the_oracles_pool_holds_fifty_with_the_largest_edges_and_no_copy(world: World, truth: Truth) -> None:
    pool = truth.oracle_pool(EPOCH_MS)
    edges = [edge.net_r for user in pool if (edge := truth.edge(user, EPOCH_MS)) is not None]
    assert len(set(pool)) == len(edges) == 50
    assert edges == sorted(edges, reverse=True)
    assert "copy" not in {truth.kind(user) for user in pool}
    assert sum(truth.kind(user) == "skilled" for user in pool) > 30


def test_remaining_drift_runs_from_all_to_nothing(truth: Truth) -> None:
    event = next(event for event in truth.events() if event.kind == "info")
    half = event.start_ms + event.duration_ms // 2
    assert truth.remaining_drift(event.id, event.start_ms) == event.drift
    assert truth.remaining_drift(event.id, half) == pytest.approx(event.drift / 2, rel=1e-6)
    assert truth.remaining_drift(event.id, event.start_ms + event.duration_ms) == 0
    with pytest.raises(KeyError):
        truth.remaining_drift(1, EPOCH_MS)


def test_a_signal_is_worth_the_drift_to_come_less_its_cost(truth: Truth) -> None:
    at_ms = EPOCH_MS - 10 * DAY_MS
    drift = sum(truth.remaining_drift(e.id, at_ms) for e in truth.events(0, at_ms) if e.coin == "BTC")
    worth = truth.expected_signal_r("BTC", 1, at_ms, stop_fraction=0.02, cost_bps=10)
    assert worth == pytest.approx(max(-1, min(2, drift / 0.02)) - 0.05)  # 10 bps of 200
    opposite = truth.expected_signal_r("BTC", -1, at_ms, stop_fraction=0.02, cost_bps=10)
    assert opposite == pytest.approx(max(-1, min(2, -drift / 0.02)) - 0.05)
