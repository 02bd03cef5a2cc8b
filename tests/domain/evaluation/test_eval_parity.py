"""The fast forms give what the pipeline's own rules give."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.consensus.outcome import follow, on_bar
from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.episode_columns import NOT_CLOSED, episode_columns
from sigmapilot_core.domain.evaluation.exits import REASONS, UNRESOLVED, follow_all
from sigmapilot_core.domain.evaluation.record import Minutes, VenueRecord
from sigmapilot_core.domain.events import Bar, Direction, Verdict
from sigmapilot_core.domain.market.regime import estimate_regime
from sigmapilot_core.domain.market.volatility import estimate_volatility
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS, EpisodeParams, OutcomeParams, Params
from sigmapilot_core.domain.simulation import probe
from sigmapilot_core.domain.simulation.probe import TraderHistory
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders.filters import evaluate
from sigmapilot_core.domain.traders.history import build_history
from sigmapilot_core.domain.traders.learning import learn


@pytest.mark.parametrize("max_hours", [168.0, 5.0])
def test_episodes_in_columns_are_those_of_the_fold(record: VenueRecord, learner: Learner, max_hours: float) -> None:
    params = EpisodeParams(max_episode_hours=max_hours)
    columns = episode_columns(record, learner.market, params)
    assert columns.left_out == 0
    timeouts = 0
    for user in range(0, len(record.addresses), 12):
        fills = [record.fill_of(row) for row in record.fills[record.fills["user"] == user][:1500]]
        until = record.end_ms if len(fills) < 1500 else fills[-1].time_ms
        history = build_history(
            fills,
            sz_decimals=dict(zip(record.coins, record.sz_decimals, strict=True)),
            stop_at=lambda coin, at: _stop(learner, coin, at),
            mark_at=lambda coin, at: _mark(record, coin, at),
            until_ms=until,
            params=params,
        )
        timeouts += sum(episode.closed_reason == "timeout" for episode in history.episodes)
        mine = (columns.user == user) & (columns.closed_ms <= until) & (columns.closed_ms != NOT_CLOSED)
        slow = sorted((e.closed_at_ms, e.coin, e.opened_at_ms, _number(e.r_gross_unclamped)) for e in history.episodes)
        fast = sorted(
            (closed, record.coins[coin], opened, r)
            for closed, coin, opened, r in zip(
                *(c[mine].tolist() for c in (columns.closed_ms, columns.coin, columns.opened_ms, columns.r_unclamped)),
                strict=True,
            )
        )
        assert [row[:3] for row in fast] == [row[:3] for row in slow]
        assert [row[3] for row in fast] == pytest.approx([row[3] for row in slow], rel=1e-9, nan_ok=True)
    assert timeouts > 0 or max_hours > 100


def _history(record: VenueRecord, learner: Learner, address: str) -> TraderHistory:
    fills = [record.fill_of(row) for row in record.fills[record.fills["user"] == record.index_of[address]]]
    history = build_history(
        fills,
        sz_decimals=dict(zip(record.coins, record.sz_decimals, strict=True)),
        stop_at=lambda coin, at: _stop(learner, coin, at),
        mark_at=lambda coin, at: _mark(record, coin, at),
        until_ms=record.end_ms,
    )
    return TraderHistory(fills, history.episodes)


def _number(r: float | None) -> float:
    return float("nan") if r is None else r


def _stop(learner: Learner, coin: str, at_ms: int) -> float | None:
    index = learner.record.coins.index(coin)
    value = float(learner.market.stops_at(np.array([index]), np.array([at_ms]))[0])
    return None if np.isnan(value) else value


def _mark(record: VenueRecord, coin: str, at_ms: int) -> Decimal:
    row = (at_ms - record.minutes.start_ms) // MINUTE_MS - 1
    return Decimal(repr(float(record.minutes.close[row, record.coins.index(coin)])))


def test_volatility_and_regime_are_those_of_the_pipeline_at_any_instant(record: VenueRecord, learner: Learner) -> None:
    params = Params()
    for hours in (3, 14, 16, 49, 60, 300, 520, 700):
        for coin in (0, 1, 5):
            now_ms = record.start_ms + hours * HOUR_MS + 300_000
            bars = [bar for bar in record.hours[coin] if bar.close_ms <= now_ms]
            name = record.coins[coin]
            assert learner.market.volatility(coin, now_ms) == estimate_volatility(name, bars, now_ms, params.volatility)
            assert learner.market.regime(coin, now_ms) == estimate_regime(name, bars, now_ms, params.regime)


def test_posteriors_filters_pool_and_correlations_are_those_of_the_pipeline(
    eval_world: World, record: VenueRecord, learner: Learner
) -> None:
    now_ms, source = record.end_ms, WorldSource(eval_world)
    able = [row.address for row in source.leaderboard() if evaluate(row).leaderboard_verdict is Verdict.PASS]
    learned = probe.learn_from(source, known={user: _history(record, learner, user) for user in able})
    standing = learner.standing(now_ms)
    assert standing is not None
    assert [c.address for c in standing.candidates] == [row.address for row in record.board(now_ms) or ()]
    by_address = {c.address: c for c in standing.candidates}
    for address, result in learned.filters.items():
        assert by_address[address].leaderboard is Verdict.PASS
        if result.verdict is Verdict.PASS:
            assert by_address[address].requests is Verdict.PASS
            found, held = by_address[address].posterior, learned.learning[address].posterior
            assert (found.m, found.kappa, found.beta) == pytest.approx((held.m, held.kappa, held.beta))
    model = learner.model(standing)
    assert {record.addresses[user] for user in model.pool} == set(learned.pool)
    assert model.pairs == learned.pairs
    assert model.rho0 == learned.rho0


def test_learning_in_columns_is_that_of_one_trader(record: VenueRecord, learner: Learner) -> None:
    user, at_ms = 4, record.start_ms + 25 * DAY_MS
    history = _history(record, learner, record.addresses[user])
    slow = learn(history.episodes, at_ms).posterior
    fast = learner.posterior(learner.learning(at_ms), user)
    assert (fast.m, fast.kappa, fast.alpha, fast.beta) == pytest.approx((slow.m, slow.kappa, slow.alpha, slow.beta))


def test_filters_ask_for_the_last_sixty_days_only(record: VenueRecord, learner: Learner) -> None:
    row = next(iter(record.board(record.end_ms) or ()))
    facts = learner.facts(record.index_of[row.address], record.end_ms)
    assert evaluate(row, facts).checks[4].value == facts.orders_per_day
    before = learner.facts(record.index_of[row.address], record.start_ms)
    assert before.orders_per_day is None
    assert before.has_major_fill is None


STEPS = st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=40)


@given(STEPS, st.sampled_from([1, -1]), st.floats(0.002, 0.03), st.integers(0, 5), st.floats(0.02, 0.6))
def test_exits_are_those_of_the_fold(steps: list[float], sign: int, stop: float, late: int, hours: float) -> None:
    params = OutcomeParams(max_hours=hours)
    close = 100 * np.cumprod(1 + np.array(steps))
    opened = np.r_[100.0, close[:-1]]
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    minutes = Minutes(0, *(column[:, None] for column in (opened, high, low, close, close)))
    at_ms = late * MINUTE_MS - 7
    entry = 100.0
    state = follow("x", "BTC", Direction.of(sign), at_ms, entry, stop, 0.0, params)
    ended = None
    for row in range(len(steps)):
        values = (opened[row], high[row], low[row], close[row])
        bar = Bar("BTC", row * MINUTE_MS, (row + 1) * MINUTE_MS, *map(float, values), 1.0)
        state, ended = on_bar(state, bar)
        if ended:
            break
    fast = follow_all(
        minutes, np.array([0]), np.array([sign]), np.array([at_ms]), np.array([entry]), np.array([stop]), params
    )
    if ended is None:
        assert fast.reason[0] == UNRESOLVED
    else:
        assert REASONS[fast.reason[0]] is ended.reason
        assert fast.closed_ms[0] == ended.closed_at_ms
        assert fast.gross_r[0] == pytest.approx(ended.gross_r, abs=1e-9)
