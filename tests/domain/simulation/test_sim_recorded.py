"""Wealth and bets of the population against the leaderboard recorded on 2 Dec 2025: what marks nobody as skilled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sim_worlds import EPOCH_MS

from sigmapilot_core.adapters.hyperliquid.leaderboard import read_csv_leaderboard
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.simulation.boards import leaderboard
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import LeaderboardRow

pytestmark = pytest.mark.realdata
RECORDED = Path(__file__).parents[4] / "shared/data/hl-leaderboard-20251202/traders-2025-12-02_233247.csv"
MIN_TURNOVER = 5.0
"""Volume of a month over account value: from here on an account counts as trading."""


@dataclass(frozen=True)
class Accounts:
    """Accounts of 10,000 USD or more that trade: value, and return of the month on what they began with."""

    value_usd: NDArray[np.float64]
    roi: NDArray[np.float64]

    @classmethod
    def of(cls, board: Iterable[LeaderboardRow]) -> Accounts:
        """Of a leaderboard whose months are known."""
        months = ((row.account_value_usd, row.windows["month"]) for row in board)
        rows = [(value, month.pnl_usd, month.volume_usd) for value, month in months]
        value, pnl, volume = np.array(rows, dtype=np.float64).T
        chosen = (value >= 10_000) & (volume >= MIN_TURNOVER * value)
        return cls(value[chosen], (pnl / np.maximum(value - pnl, 100.0))[chosen])

    @property
    def tail_index(self) -> float:
        """Hill's estimate of the Pareto exponent of values, from the largest fifth."""
        largest = np.sort(self.value_usd)[::-1][: len(self.value_usd) // 5 + 1]
        return float(1.0 / np.log(largest[:-1] / largest[-1]).mean())


@pytest.fixture(scope="module")
def recorded() -> Accounts:
    if not RECORDED.is_file():
        pytest.skip("recorded data is not beside the project (../shared/data/hl-leaderboard-20251202)")
    board = read_csv_leaderboard(RECORDED)
    assert len(board.rows) > 27_000
    return Accounts.of(board.rows)


@pytest.fixture(scope="module")
def simulated() -> Accounts:
    world = World(WorldSettings(seed=1, epoch_ms=EPOCH_MS, traders=1000, history_days=60))
    return Accounts.of(leaderboard(world, world.settings.start_ms + 59 * DAY_MS))


def test_wealth_has_the_recorded_tail(recorded: Accounts, simulated: Accounts) -> None:
    assert recorded.tail_index == pytest.approx(0.87, abs=0.05)
    assert simulated.tail_index == pytest.approx(recorded.tail_index, abs=0.25)


@pytest.mark.parametrize("share", [0.05, 0.10, 0.25])
def test_losers_lose_about_as_much_in_a_month_as_recorded(
    recorded: Accounts, simulated: Accounts, share: float
) -> None:
    lost, meant = np.quantile(simulated.roi, share), np.quantile(recorded.roi, share)
    assert lost == pytest.approx(meant, abs=0.2)


def test_a_month_is_easier_to_end_in_profit_than_recorded(recorded: Accounts, simulated: Accounts) -> None:
    """The specification's shares of skill make it so; a world without it would be a different one."""
    assert (recorded.roi > 0).mean() == pytest.approx(0.39, abs=0.02)
    assert (simulated.roi > 0).mean() > (recorded.roi > 0).mean()
