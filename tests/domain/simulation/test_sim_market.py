"""Prices, news, regimes and funding behave as the specification says."""

from __future__ import annotations

import numpy as np
import pytest
from sim_worlds import EPOCH_MS

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.desk import first_crossing
from sigmapilot_core.domain.simulation.flows import reflected
from sigmapilot_core.domain.simulation.funding import hourly_rate
from sigmapilot_core.domain.simulation.market import BaseMarket, Regime, RegimeTimeline
from sigmapilot_core.domain.simulation.news import Origin, Overlay, make_event
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World


def test_an_event_moves_the_price_evenly_by_its_drift() -> None:
    overlay = Overlay(2)
    overlay.add(make_event(1, 1_000, 1, True, -1, 3.0, 0.01, 8_000, Origin.NATURAL))
    moves = overlay.offsets(np.array([500, 1_000, 3_000, 9_000, 20_000]))
    assert moves[:, 0].tolist() == [0.0] * 5
    assert moves[:, 1] == pytest.approx([0.0, 0.0, -0.0075, -0.03, -0.03])  # 3 sigmas x 1 %, a quarter after 2 of 8 s


def test_a_herd_event_reverses_and_folding_changes_nothing() -> None:
    overlay = Overlay(1)
    overlay.add(make_event(1, 0, 0, False, 1, 0.5, 0.01, 1_000, Origin.NATURAL))
    overlay.add(make_event(2, 0, 0, True, 1, 2.0, 0.01, 4_000, Origin.NATURAL))
    times = np.array([2_000, 5_000])
    before = overlay.offsets(times)
    assert before[:, 0] == pytest.approx([0.01 - 0.005, 0.02 - 0.005])
    overlay.begin_block(2_000)
    assert len(overlay.active) == 1
    assert overlay.offsets(times) == pytest.approx(before)
    assert len(overlay.events()) == 2


def test_information_comes_six_times_a_day_and_major_and_herds_as_often(world: World) -> None:
    events = world.overlay.events()
    for coin, settings in enumerate(world.settings.coins):
        of_coin = events[events["coin"] == coin]
        for is_info in (True, False):
            expected = settings.news_per_day * 60
            found = int((of_coin["is_info"] == is_info).sum())
            # Poisson, and regimes scale the rate by 0.8 to 1.2
            assert 0.8 * expected - 4 * expected**0.5 < found < 1.2 * expected + 4 * expected**0.5
            assert settings.news_per_day == (6.0 if settings.is_major else 1.5)


def test_strength_and_duration_of_information_are_in_the_specified_ranges(world: World) -> None:
    events = world.overlay.events()
    info = events[events["is_info"]]
    assert info["sigmas"].min() >= 1.0
    assert info["sigmas"].max() <= 4.0
    assert info["duration_ms"].min() >= 2 * HOUR_MS
    assert info["duration_ms"].max() <= 12 * HOUR_MS
    assert (np.sign(info["drift"]) == info["direction"]).all()
    herd = events[~events["is_info"]]
    assert (np.sign(herd["drift"]) * herd["direction"] <= 0).all()
    assert np.abs(herd["sigmas"]).max() < 1.0


def test_the_price_really_moves_by_the_drift(world: World) -> None:
    info = world.overlay.events()
    info = info[info["is_info"] & (info["t"] + info["duration_ms"] < EPOCH_MS)]
    start = world.path.at(info["coin"], info["t"])
    end = world.path.at(info["coin"], info["t"] + info["duration_ms"])
    slope = np.polyfit(info["drift"], np.log(end / start), 1)[0]
    # all other news is independent of this event's, so the regression on its drift has slope one
    assert slope == pytest.approx(1.0, abs=0.2)


def test_volatility_clusters_and_tails_are_heavy(world: World) -> None:
    marks = world.path.rows(world.settings.start_ms, world.settings.live_start_ms)[0]
    returns = np.diff(np.log(marks[:, 0]))
    hourly = np.abs(returns[: len(returns) // 60 * 60]).reshape(-1, 60).mean(axis=1)
    assert np.corrcoef(hourly[1:], hourly[:-1])[0, 1] > 0.2
    assert (returns**4).mean() / (returns**2).mean() ** 2 > 4.0  # a normal law has 3


def test_majors_share_a_factor(world: World) -> None:
    marks = world.path.rows(world.settings.start_ms, world.settings.live_start_ms)[0]
    correlation = np.corrcoef(np.diff(np.log(marks[:, :3]), axis=0).T)
    assert (correlation[np.triu_indices(3, 1)] > 0.3).all()
    assert all(0.6 <= coin.beta <= 1.4 for coin in world.settings.coins)
    assert len(world.settings.coins) >= 8


def test_seconds_have_the_volatility_of_minutes() -> None:
    settings = WorldSettings(seed=3, epoch_ms=EPOCH_MS)
    moves = []
    for rows, step_ms in ((1_440, MINUTE_MS), (1_440 * 60, 1_000)):
        market = BaseMarket(settings, RegimeTimeline(settings))
        first = market.log_px
        blocks = [market.next_block(settings.start_ms + k * DAY_MS, rows, step_ms) for k in range(4)]
        log_px = np.vstack([first, *(block.log_px for block in blocks)])[:: rows // 1_440]
        moves.append(np.diff(log_px, axis=0).std(axis=0))
    # the volatility of one coin over four days is itself random; over all coins it is not
    assert np.median(moves[1] / moves[0]) == pytest.approx(1.0, abs=0.06)


def test_regimes_last_days_and_differ_from_the_one_before(world: World) -> None:
    times = world.settings.start_ms + HOUR_MS * np.arange(60 * 24, dtype=np.int64)
    kinds = world.regimes.at(times)
    changes = np.flatnonzero(np.diff(kinds))
    assert set(kinds.tolist()) == {int(regime) for regime in Regime}
    assert (np.diff(changes) >= 36).all()  # 1.5 days in hours
    assert 60 / 6 - 2 <= len(changes) + 1 <= 60 / 1.5
    for time_ms in times[::24].tolist():
        is_trending = world.regimes.at(np.array([time_ms]))[0] == Regime.TRENDING
        assert bool(world.regimes.trend(time_ms).any()) == is_trending


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        (0.0, 0.0001 / 8),  # interest alone
        (0.0004, 0.0001 / 8),  # 0.04 % + clamp(-0.03 %) = 0.01 %
        (0.0010, 0.0005 / 8),  # 0.10 % - 0.05 %
        (-0.0010, -0.0005 / 8),
        (9.0, 0.04),  # the cap
    ],
)
def test_funding_follows_the_premium_by_the_venues_formula(premium: float, rate: float) -> None:
    assert hourly_rate(np.array([premium]))[0] == pytest.approx(rate, rel=1e-12)


def test_history_of_funding_is_that_formula_of_its_premiums(source: WorldSource) -> None:
    history = source.funding_history("BTC", 0, source.now_ms)
    rates = hourly_rate(np.array([entry.premium for entry in history]))
    assert [entry.rate for entry in history] == rates.tolist()
    assert len(set(rates.tolist())) > 10
    assert source.context("BTC").funding_rate == history[-1].rate


def test_open_interest_is_what_longs_hold(world: World, source: WorldSource) -> None:
    base = {c.coin: c.open_interest_usd / c.start_px for c in world.settings.coins}
    for index, asset in enumerate(source.assets):
        longs = np.maximum(world.accounts.now.position[:, index], 0).sum() / 10**asset.sz_decimals
        assert source.context(asset.coin).open_interest == pytest.approx(base[asset.coin] + longs)
        assert longs > 0


def test_every_coin_trades_enough_to_be_evaluated(source: WorldSource) -> None:
    for asset in source.assets:
        assert source.context(asset.coin).day_notional_volume > 10e6  # CONSENSUS_MIN_DAY_VOLUME


def test_first_crossing_is_the_plain_search() -> None:
    rng = np.random.default_rng(5)
    rows = np.cumsum(rng.integers(-3, 4, size=(500, 2)), axis=0) + 1_000
    coin = rng.integers(0, 2, size=200)
    low, high = 1_000 - rng.uniform(1, 60, size=200), 1_000 + rng.uniform(1, 60, size=200)
    start = rng.integers(0, 600, size=200)
    found = first_crossing(rows, coin, low, high, start)
    for i in range(200):
        hits = [r for r in range(start[i], 500) if not low[i] < rows[r, coin[i]] < high[i]]
        assert found[i] == (hits[0] if hits else -1)


def test_reflected_walks_stay_inside_and_keep_their_steps() -> None:
    walk = np.cumsum(np.random.default_rng(1).choice([-1, 1], size=5_000))
    inside = reflected(walk, np.full(5_000, 6))
    assert np.abs(inside).max() <= 6
    assert (np.abs(np.diff(inside)) == 1).all()
