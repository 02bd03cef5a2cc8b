"""Death, censoring and the row of the day (spec 1.5)."""

from __future__ import annotations

import dataclasses
import math

import pytest
from trader_builders import T0

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders.status import (
    CensorCause,
    DailyStatus,
    DeathCause,
    TraderDay,
    TraderStatus,
    censor_cause,
    death_cause,
    is_alive,
    status_of,
)

USUAL = TraderDay(
    equity_usd=200_000.0,
    peak_equity_usd=300_000.0,
    was_liquidated=False,
    last_fill_ms=T0 - DAY_MS,
    is_observed=True,
    in_pool=False,
    was_in_pool=False,
    previous=DailyStatus.ACTIVE,
)


@pytest.mark.parametrize(
    ("equity", "peak", "liquidated", "cause"),
    [
        (0.0, None, False, DeathCause.NEGATIVE_EQUITY),
        (-5.0, 1e5, False, DeathCause.NEGATIVE_EQUITY),
        (9_999.99, 20_000.0, False, DeathCause.ACCOUNT_VALUE_FLOOR),
        (10_000.0, 20_000.0, False, None),
        (20_000.0, 100_000.0, False, DeathCause.DRAWDOWN),
        (20_001.0, 100_000.0, False, None),
        (1e6, 1e6, True, DeathCause.LIQUIDATION),
        (None, 1e6, False, None),
        (math.nan, 1e6, False, None),
        (1e6, None, False, None),
    ],
)
def test_causes_of_death(equity: float | None, peak: float | None, liquidated: bool, cause: DeathCause | None) -> None:
    assert death_cause(equity, peak, liquidated) is cause


@pytest.mark.parametrize(
    ("equity", "liquidated", "expected"),
    [(5e4, False, True), (5e3, False, False), (None, False, None), (None, True, False)],
)
def test_alive_is_unknown_when_the_equity_was_not_observed(
    equity: float | None, liquidated: bool, expected: bool | None
) -> None:
    assert is_alive(equity, None, liquidated) is expected


@pytest.mark.parametrize(
    ("last_fill_ms", "is_observed", "cause"),
    [
        (T0 - 30 * DAY_MS, True, CensorCause.INACTIVE),
        (T0 - 30 * DAY_MS + 1, True, None),
        (T0, False, CensorCause.NOT_OBSERVED),
        (None, True, None),
    ],
)
def test_causes_of_censoring(last_fill_ms: int | None, is_observed: bool, cause: CensorCause | None) -> None:
    assert censor_cause(last_fill_ms, is_observed, T0) is cause


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, TraderStatus(DailyStatus.ACTIVE)),
        ({"previous": None}, TraderStatus(DailyStatus.ENTERED)),
        ({"in_pool": True}, TraderStatus(DailyStatus.PROMOTED)),
        ({"in_pool": True, "was_in_pool": True}, TraderStatus(DailyStatus.ACTIVE)),
        ({"was_in_pool": True}, TraderStatus(DailyStatus.DEMOTED)),
        ({"equity_usd": 1.0}, TraderStatus(DailyStatus.DEATH, death=DeathCause.ACCOUNT_VALUE_FLOOR)),
        ({"is_observed": False}, TraderStatus(DailyStatus.CENSORED, censor=CensorCause.NOT_OBSERVED)),
        ({"previous": DailyStatus.CENSORED}, TraderStatus(DailyStatus.ACTIVE)),
    ],
)
def test_row_of_the_day(change: dict[str, object], expected: TraderStatus) -> None:
    assert status_of(dataclasses.replace(USUAL, **change), T0) == expected  # type: ignore[arg-type]


def test_not_being_observed_is_not_a_death() -> None:
    gone = dataclasses.replace(USUAL, equity_usd=None, peak_equity_usd=1e6, is_observed=False)
    assert status_of(gone, T0).status is DailyStatus.CENSORED


def test_death_is_final_and_keeps_its_cause() -> None:
    back = dataclasses.replace(USUAL, previous=DailyStatus.DEATH, previous_death=DeathCause.LIQUIDATION)
    assert status_of(back, T0) == TraderStatus(DailyStatus.DEATH, death=DeathCause.LIQUIDATION)
