"""World = f(seed, epoch, settings, inputs): the same bytes, however time is divided."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sim_worlds import EPOCH_MS, MIDNIGHT_MS, small_settings

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.live import InputKind, WorldInput
from sigmapilot_core.domain.simulation.settings import Profile, WorldSettings
from sigmapilot_core.domain.simulation.world import World

Make = Callable[..., World]
SPAN_MS = 2 * HOUR_MS + 17 * MINUTE_MS + 123


def advance_in_steps(world: World, to_ms: int, seed: int, longest_ms: int) -> None:
    """Advance by random steps of whole milliseconds."""
    rng = np.random.default_rng(seed)
    while world.now_ms < to_ms:
        world.advance(min(to_ms, world.now_ms + int(rng.integers(1, longest_ms))))


def test_the_same_three_give_the_same_bytes(small_world: Make) -> None:
    assert small_world().digest() == small_world().digest()


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch_ms": EPOCH_MS + DAY_MS}])
def test_another_seed_or_epoch_is_another_world(small_world: Make, change: dict[str, int]) -> None:
    assert small_world().digest() != small_world(**change).digest()


@pytest.mark.parametrize(
    ("longest_ms", "span_ms"), [(2_500, 17 * MINUTE_MS), (61_000, SPAN_MS), (HOUR_MS, 9 * HOUR_MS)]
)
def test_one_big_advance_equals_many_small_ones(small_world: Make, longest_ms: int, span_ms: int) -> None:
    late = MIDNIGHT_MS + DAY_MS - 10 * MINUTE_MS  # the steps cross hours and a midnight
    once, often = small_world(epoch_ms=late), small_world(epoch_ms=late)
    once.advance(late + span_ms)
    advance_in_steps(often, late + span_ms, seed=longest_ms, longest_ms=longest_ms)
    assert once.digest() == often.digest()


@pytest.mark.slow
def test_a_large_world_does_not_depend_on_the_steps_either() -> None:
    settings = WorldSettings(seed=5, epoch_ms=MIDNIGHT_MS + 22 * HOUR_MS, history_days=10, profile=Profile.DEMO)
    ready = (WorldInput(InputKind.READY, settings.epoch_ms),)
    once, often = World(settings, ready), World(settings, ready)
    once.advance(settings.epoch_ms + 4 * HOUR_MS)
    advance_in_steps(often, settings.epoch_ms + 4 * HOUR_MS, seed=1, longest_ms=3_000)
    assert once.digest() == often.digest()


@pytest.mark.parametrize("traders", [20, 27, 41])
def test_tiny_worlds_are_worlds(traders: int) -> None:
    world = World(WorldSettings(seed=traders, epoch_ms=EPOCH_MS, traders=traders, history_days=2))
    assert len(world.tape) > 100
    assert (world.accounts.now.position.sum(axis=0) == 0).all()


def test_a_later_start_extends_the_same_world(small_world: Make) -> None:
    ran = small_world()
    before = len(ran.tape)
    ran.advance(EPOCH_MS + HOUR_MS)
    again = small_world()
    assert len(again.tape) == before
    again.advance(EPOCH_MS + HOUR_MS)
    assert again.digest() == ran.digest()


def demo_inputs() -> tuple[WorldInput, ...]:
    """Ready, an event now and one later, ready again after a restart."""
    return (
        WorldInput(InputKind.READY, EPOCH_MS + 5_000),
        WorldInput(InputKind.INFO, EPOCH_MS + 100_500, "ETH", -1, 3.0),
        WorldInput(InputKind.HERD, EPOCH_MS + 70 * MINUTE_MS, "SOL", 1, 0.2),
        WorldInput(InputKind.READY, EPOCH_MS + 30 * MINUTE_MS),
    )


def test_inputs_known_beforehand_give_the_world_they_gave_live() -> None:
    settings = small_settings(profile=Profile.DEMO)
    live = World(settings)
    ready, event, late_event, ready_again = demo_inputs()
    live.put(ready)
    live.advance(event.at_ms)
    live.put(event)
    live.put(late_event)
    advance_in_steps(live, ready_again.at_ms, seed=1, longest_ms=90_000)
    live.put(ready_again)
    live.advance(EPOCH_MS + 2 * HOUR_MS)
    known = World(settings, live.staging.inputs)
    known.advance(EPOCH_MS + 2 * HOUR_MS)
    assert live.staging.inputs == demo_inputs()
    assert known.digest() == live.digest()


def test_an_input_changes_nothing_before_it(small_world: Make) -> None:
    plain, told = small_world(), small_world()
    at_ms = EPOCH_MS + 20 * MINUTE_MS
    told.put(WorldInput(InputKind.INFO, at_ms, "BTC", 1, 4.0))
    plain.advance(at_ms)
    told.advance(at_ms)
    assert plain.digest() == told.digest()
    plain.advance(at_ms + HOUR_MS)
    told.advance(at_ms + HOUR_MS)
    assert plain.digest() != told.digest()


def test_time_never_moves_back(small_world: Make) -> None:
    world = small_world()
    with pytest.raises(ValueError, match="to_ms"):
        world.advance(world.now_ms - 1)
    with pytest.raises(ValueError, match="at_ms"):
        world.put(WorldInput(InputKind.INFO, world.now_ms - 1, "BTC", 1, 1.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", -1), ("epoch_ms", 0), ("traders", 19), ("history_days", 0), ("history_days", 901), ("coins", ())],
)
def test_settings_out_of_range_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        WorldSettings(**{"seed": 1, "epoch_ms": EPOCH_MS, field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (WorldInput(InputKind.INFO, EPOCH_MS, "XYZ", 1, 1.0), "coin"),
        (WorldInput(InputKind.INFO, EPOCH_MS, "BTC", 0, 1.0), "direction"),
        (WorldInput(InputKind.HERD, EPOCH_MS, "BTC", 1, float("nan")), "sigmas"),
    ],
)
def test_inputs_out_of_range_are_refused_by_name(small_world: Make, made: WorldInput, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        small_world().put(made)
