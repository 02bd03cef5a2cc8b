"""When a model is published: at most once a minute, and only when what it says has changed (spec 1.8).

The instants at which inputs were computed are not what a model says. A part of which nothing else changed stays as it
is, with its older instants: it looks as old as it is, or older, never younger. Before that could stop a decision the
part is renewed: as soon as an instant has used up a third of its age limit and a newer one is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sigmapilot_core.domain.market.regime import RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_core.domain.snapshot import AssetFigures, FastPart, ModelSnapshot, SlowPart

MIN_INTERVAL_MS = 60_000
RENEW_SHARE = 1 / 3


class Step(StrEnum):
    """What becomes of a draft; a deferred one is drawn up anew when the minute is over."""

    PUBLISH = "publish"
    UNCHANGED = "unchanged"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Weighed:
    """The step, and the snapshot that would be published: parts that say nothing new are those of the newest one."""

    step: Step
    snapshot: ModelSnapshot


def weigh(newest: ModelSnapshot | None, draft: ModelSnapshot) -> Weighed:
    """Hold a draft against the newest published snapshot; `draft.published_at_ms` is now."""
    if newest is None:
        return Weighed(Step.PUBLISH, draft)
    now_ms, limits = draft.published_at_ms, draft.settings.freshness
    settled = replace(
        draft,
        slow=newest.slow if _slow_stands(newest.slow, draft.slow, now_ms, limits) else draft.slow,
        fast=newest.fast if _fast_stands(newest.fast, draft.fast, now_ms, limits) else draft.fast,
    )
    if settled.hash == newest.hash:
        return Weighed(Step.UNCHANGED, settled)
    is_early = 0 <= now_ms - newest.published_at_ms < MIN_INTERVAL_MS
    return Weighed(Step.DEFERRED if is_early else Step.PUBLISH, settled)


def _slow_stands(old: SlowPart, new: SlowPart, now_ms: int, limits: FreshnessParams) -> bool:
    instants = (
        (old.posterior_as_of_ms, new.posterior_as_of_ms, limits.posterior_s),
        (old.correlation_as_of_ms, new.correlation_as_of_ms, limits.correlation_s),
        (old.leaderboard_as_of_ms, new.leaderboard_as_of_ms, limits.leaderboard_s),
    )
    if any(_is_due(*instant, now_ms) for instant in instants):
        return False
    return _slow_content(old) == _slow_content(new)


def _fast_stands(old: FastPart, new: FastPart, now_ms: int, limits: FreshnessParams) -> bool:
    if old.assets.keys() != new.assets.keys():
        return False
    return all(_figures_stand(figures, new.assets[coin], now_ms, limits) for coin, figures in old.assets.items())


def _figures_stand(old: AssetFigures, new: AssetFigures, now_ms: int, limits: FreshnessParams) -> bool:
    computed_s = limits.volatility_computed_s
    instants = (
        (_computed(old.volatility), _computed(new.volatility), computed_s),
        (_computed(old.regime), _computed(new.regime), computed_s),
        (old.costs_as_of_ms, new.costs_as_of_ms, limits.costs_s),
    )
    if any(_is_due(*instant, now_ms) for instant in instants):
        return False
    return _figures_content(old) == _figures_content(new)


def _is_due(old_ms: int | None, new_ms: int | None, limit_s: float, now_ms: int) -> bool:
    """Whether a part must be renewed for this instant alone; known and unknown are never the same."""
    if old_ms == new_ms:
        return False
    return old_ms is None or new_ms is None or now_ms - old_ms >= RENEW_SHARE * limit_s * 1000


def _computed(estimate: VolatilityEstimate | RegimeEstimate | None) -> int | None:
    return None if estimate is None else estimate.computed_at_ms


def _slow_content(part: SlowPart) -> SlowPart:
    return replace(part, posterior_as_of_ms=None, correlation_as_of_ms=None, leaderboard_as_of_ms=None)


def _figures_content(figures: AssetFigures) -> AssetFigures:
    volatility, regime = figures.volatility, figures.regime
    return replace(
        figures,
        volatility=None if volatility is None else replace(volatility, computed_at_ms=0),
        regime=None if regime is None else replace(regime, computed_at_ms=0),
        costs_as_of_ms=None,
    )
