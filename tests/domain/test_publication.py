"""When a model is published: news only, once a minute, and ages that are never understated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.publication import MIN_INTERVAL_MS, Step, weigh
from sigmapilot_core.domain.snapshot import ModelSnapshot
from tests.domain.engine.engine_builders import T0, snapshot, with_figures

MINUTE_MS = 60_000
OLD = replace(snapshot(), published_at_ms=T0, version=1)


def at(after_ms: int, model: ModelSnapshot = OLD) -> ModelSnapshot:
    """The same content, computed again after a while."""
    slow = replace(
        model.slow,
        posterior_as_of_ms=T0 + after_ms,
        correlation_as_of_ms=T0 + after_ms,
        leaderboard_as_of_ms=T0 + after_ms,
    )
    model = replace(model, slow=slow, published_at_ms=T0 + after_ms)
    for coin, figures in model.fast.assets.items():
        assert figures.volatility is not None
        assert figures.regime is not None
        model = with_figures(
            model,
            coin,
            volatility=replace(figures.volatility, computed_at_ms=T0 + after_ms),
            regime=replace(figures.regime, computed_at_ms=T0 + after_ms),
            costs_as_of_ms=T0 + after_ms,
        )
    return model


NEWEST = at(0)
CHANGED = with_figures(NEWEST, "BTC", day_volume_usd=1.0)


def test_the_first_is_published() -> None:
    assert weigh(None, NEWEST).step is Step.PUBLISH


def test_the_same_content_computed_again_is_no_news() -> None:
    weighed = weigh(NEWEST, at(2 * MINUTE_MS))
    assert weighed.step is Step.UNCHANGED
    assert weighed.snapshot.hash == NEWEST.hash


@given(st.integers(0, 30 * 24 * 60 * MINUTE_MS), st.booleans())
def test_whatever_is_done_the_minute_is_kept_and_no_age_is_understated(after_ms: int, is_changed: bool) -> None:
    draft = at(after_ms, CHANGED if is_changed else NEWEST)
    weighed = weigh(NEWEST, draft)
    if after_ms < MIN_INTERVAL_MS:
        assert weighed.step is not Step.PUBLISH
    if is_changed:
        assert weighed.step is (Step.DEFERRED if after_ms < MIN_INTERVAL_MS else Step.PUBLISH)
    for coin, figures in weighed.snapshot.fast.assets.items():
        made = draft.fast.assets[coin]
        assert figures.volatility.computed_at_ms <= made.volatility.computed_at_ms  # type: ignore[union-attr]
        assert replace(figures.volatility, computed_at_ms=0) == replace(made.volatility, computed_at_ms=0)  # type: ignore[type-var]


@given(st.integers(0, 60 * 24 * 60 * MINUTE_MS))
def test_what_is_in_force_is_never_older_than_a_third_of_its_limit_at_the_moment_of_weighing(after_ms: int) -> None:
    weighed = weigh(NEWEST, at(after_ms))
    if weighed.step is Step.DEFERRED:
        return
    limits, now_ms = NEWEST.settings.freshness, T0 + after_ms
    for coin in weighed.snapshot.fast.assets:
        figures = weighed.snapshot.fast.assets[coin]
        assert now_ms - figures.volatility.computed_at_ms <= limits.volatility_computed_s * 1000 / 3  # type: ignore[union-attr]
        assert now_ms - (figures.costs_as_of_ms or 0) <= limits.costs_s * 1000 / 3
    assert now_ms - (weighed.snapshot.slow.leaderboard_as_of_ms or 0) <= limits.leaderboard_s * 1000 / 3


def test_a_part_that_says_nothing_new_keeps_its_version_while_the_other_changes() -> None:
    weighed = weigh(NEWEST, at(2 * MINUTE_MS, CHANGED))
    assert weighed.step is Step.PUBLISH
    assert weighed.snapshot.slow_hash == NEWEST.slow_hash
    assert weighed.snapshot.fast_hash != NEWEST.fast_hash


@pytest.mark.parametrize("lost", [True, False])
def test_known_and_unknown_are_never_the_same(lost: bool) -> None:
    without = with_figures(NEWEST, "BTC", volatility=None)
    old, new = (NEWEST, without) if lost else (without, NEWEST)
    assert weigh(old, replace(new, published_at_ms=T0 + MINUTE_MS)).step is Step.PUBLISH
    ageless = replace(NEWEST, slow=replace(NEWEST.slow, correlation_as_of_ms=None))
    assert weigh(NEWEST, replace(ageless, published_at_ms=T0 + MINUTE_MS)).step is Step.PUBLISH


def test_a_clock_that_went_back_does_not_stop_publishing() -> None:
    assert weigh(NEWEST, at(-10 * MINUTE_MS, CHANGED)).step is Step.PUBLISH
