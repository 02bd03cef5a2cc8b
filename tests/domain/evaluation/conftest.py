"""One simulated record the tests share."""

from __future__ import annotations

import pytest

from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.simulated import record_of
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World

DAYS = 34


@pytest.fixture(scope="session")
def eval_world() -> World:
    """100 traders, 34 days, up to a midnight. Shared: must not be advanced."""
    return World(WorldSettings(seed=3, epoch_ms=20_370 * DAY_MS, traders=100, history_days=DAYS))


@pytest.fixture(scope="session")
def record(eval_world: World) -> VenueRecord:
    """What could be observed of it."""
    return record_of(eval_world)


@pytest.fixture(scope="session")
def learner(record: VenueRecord) -> Learner:
    """Everything learnt from it, as of any instant."""
    return Learner.of(record, Params())
