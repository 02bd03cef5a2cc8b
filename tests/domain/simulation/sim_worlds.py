"""Sizes and instants of the worlds the tests make."""

from __future__ import annotations

from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.settings import Profile, WorldSettings

MIDNIGHT_MS = 20_370 * DAY_MS
"""Some UTC midnight; worlds start ten minutes after it, so that little of their first day is made of seconds."""
EPOCH_MS = MIDNIGHT_MS + 10 * MINUTE_MS


def small_settings(seed: int = 1, profile: Profile = Profile.NATURAL, epoch_ms: int = EPOCH_MS) -> WorldSettings:
    """60 traders, 2 days."""
    return WorldSettings(seed=seed, epoch_ms=epoch_ms, traders=60, history_days=2, profile=profile)
