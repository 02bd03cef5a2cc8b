"""Worlds the tests share: one of the specification's size that nobody moves, and small ones to move."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sim_worlds import EPOCH_MS, small_settings

from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World


@pytest.fixture(scope="session")
def built() -> tuple[World, float]:
    """The shared world and the processor seconds it took."""
    began = time.process_time()
    world = World(WorldSettings(seed=1, epoch_ms=EPOCH_MS))
    return world, time.process_time() - began


@pytest.fixture(scope="session")
def world(built: tuple[World, float]) -> World:
    """Seed 1, 300 traders, 60 days. Shared: must not be advanced."""
    return built[0]


@pytest.fixture(scope="session")
def world_seconds(built: tuple[World, float]) -> float:
    """Processor seconds of 60 days of 300 traders."""
    return built[1]


@pytest.fixture(scope="session")
def source(world: World) -> WorldSource:
    """The shared world as a venue shows it."""
    return WorldSource(world)


@pytest.fixture(scope="session")
def truth(world: World) -> Truth:
    """What is true of the shared world."""
    return Truth(world)


@pytest.fixture
def small_world() -> Callable[..., World]:
    """Makes small worlds of a test's own."""
    return lambda **changes: World(small_settings(**changes))
