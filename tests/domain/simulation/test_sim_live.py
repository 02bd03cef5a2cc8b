"""Natural and demo profiles, events by hand, and what a second costs."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from sim_worlds import EPOCH_MS

from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.behaviour import Idea
from sigmapilot_core.domain.simulation.news import Origin
from sigmapilot_core.domain.simulation.settings import DEFAULT_COINS, Profile
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World

Make = Callable[..., World]


def demo_events(world: World) -> np.ndarray:
    """Events of the demo profile, by start."""
    events = world.overlay.events()
    return events[events["origin"] == Origin.DEMO]


@pytest.fixture
def demo(small_world: Make) -> World:
    """A demo world two hours after it was marked ready."""
    world = small_world(profile=Profile.DEMO)
    WorldSource(world).mark_ready(EPOCH_MS)
    world.advance(EPOCH_MS + 2 * HOUR_MS)
    return world


def test_the_first_demo_event_comes_30_to_60_s_after_readiness(small_world: Make) -> None:
    for seed in range(1, 6):
        world = small_world(seed=seed, profile=Profile.DEMO)
        WorldSource(world).mark_ready(EPOCH_MS + 777)
        first = demo_events(world)[0]
        assert first["is_info"]
        assert 30_000 <= first["t"] - EPOCH_MS - 777 <= 60_000


def test_demo_news_comes_about_every_90_s_in_rotating_majors(demo: World) -> None:
    events = demo_events(demo)
    events = events[events["t"] < EPOCH_MS + 2 * HOUR_MS]
    info, herd = events[events["is_info"]], events[~events["is_info"]]
    assert len(info) == pytest.approx(80, abs=2)  # 7200 s / 90 s
    assert abs(len(info) - len(herd)) <= 1
    gaps = np.diff(info["t"]) / 1000
    assert gaps.mean() == pytest.approx(90, abs=1)
    assert gaps.min() > 70
    assert (info["coin"][:6] == [0, 1, 2, 0, 1, 2]).all()
    assert set(herd["coin"].tolist()) == {0, 1, 2}


def test_demo_information_has_at_least_two_and_a_half_sigmas_and_balanced_directions(demo: World) -> None:
    info = demo_events(demo)
    info = info[info["is_info"]]
    assert info["sigmas"].min() >= 2.5
    assert abs(int(info["direction"].sum())) < 30


def test_a_copied_leader_who_acts_is_told_with_his_coin_once(small_world: Make) -> None:
    source = WorldSource(small_world(profile=Profile.DEMO))
    source.mark_ready(source.now_ms)
    led = []
    for _ in range(40 * 60):
        before_ms = source.now_ms
        source.advance(before_ms + 1_000)
        led.append(source.led_coin(before_ms))
    told = [coin for coin in led if coin is not None]
    assert 1 <= len(told) <= 10  # every four minutes, unless the leader holds that coin already
    assert set(told) <= {coin.coin for coin in DEFAULT_COINS if not coin.is_major}


def test_an_idea_of_a_copied_leader_comes_within_five_minutes_and_then_every_four(demo: World) -> None:
    trips = np.concatenate([*demo.closed_trips, demo.desk.open_trips])
    staged = np.sort(trips["t"][trips["idea"] == Idea.STAGED])
    assert 1 <= len(staged) <= 29  # every four minutes, unless the leader holds that coin already
    assert staged[0] < EPOCH_MS + 10 * MINUTE_MS


def test_readiness_means_nothing_in_the_natural_profile(small_world: Make) -> None:
    told, plain = small_world(), small_world()
    WorldSource(told).mark_ready(EPOCH_MS)
    told.advance(EPOCH_MS + HOUR_MS)
    plain.advance(EPOCH_MS + HOUR_MS)
    assert told.digest() == plain.digest()
    assert WorldSource(told).inputs == ()


def test_profiles_share_their_history(small_world: Make) -> None:
    assert small_world(profile=Profile.DEMO).digest() == small_world().digest()


def test_an_event_by_hand_moves_price_and_people(small_world: Make) -> None:
    told, plain = WorldSource(small_world(seed=4)), WorldSource(small_world(seed=4))
    told.inject_event("info", "BTC", 1, 4.0, EPOCH_MS + 60_000)
    acted = [len(told.advance(EPOCH_MS + HOUR_MS)), len(plain.advance(EPOCH_MS + HOUR_MS))]
    assert acted[0] > acted[1]
    hours = 13 * HOUR_MS
    told.advance(EPOCH_MS + hours)
    plain.advance(EPOCH_MS + hours)
    moved = float(told.context("BTC").mark_px / plain.context("BTC").mark_px)
    assert moved > 1.008  # 4 hourly sigmas of at least 0.25 %


@pytest.mark.parametrize("kind", ["ready", "news", ""])
def test_only_info_and_herd_can_be_injected(small_world: Make, kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        WorldSource(small_world()).inject_event(kind, "BTC", 1, 1.0, EPOCH_MS)


def test_trades_arrive_up_to_the_instant_and_once(small_world: Make) -> None:
    source = WorldSource(small_world())
    seen = []
    for k in range(1, 400):
        trades = source.advance(EPOCH_MS + k * 733)
        assert all(EPOCH_MS + (k - 1) * 733 < trade.time_ms <= EPOCH_MS + k * 733 for trade in trades)
        seen += list(trades)
    assert len({trade.key for trade in seen}) == len(seen) > 100
    assert source.advance(source.now_ms) == [] or len(source.advance(source.now_ms)) == 0


def test_a_batch_of_trades_is_a_sequence(small_world: Make) -> None:
    trades = WorldSource(small_world()).advance(EPOCH_MS + 5 * MINUTE_MS)
    values = list(trades)
    assert [trades[i] for i in range(len(trades))] == values
    assert list(trades[3:9]) == values[3:9]
    assert trades[-1] == values[-1]
    assert values[0] in trades


def test_history_of_60_days_takes_less_than_20_s(world_seconds: float) -> None:
    assert world_seconds < 20.0  # specification; measured about 3 s


def test_a_second_costs_less_than_10_ms(demo: World) -> None:
    source = WorldSource(demo)
    began = time.process_time()
    for _ in range(200):
        list(source.advance(source.now_ms + 1_000))
    assert (time.process_time() - began) / 200 < 0.010


def test_a_day_of_missed_time_takes_seconds(demo: World) -> None:
    began = time.process_time()
    demo.advance(demo.now_ms + 24 * HOUR_MS)
    assert time.process_time() - began < 5.0
