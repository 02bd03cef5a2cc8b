"""Episodes of stored histories: the same whether one process folds them or several."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from sigmapilot_assets.core.histories_fold import FoldRules, fold, folded_histories
from sigmapilot_assets.market_data import known_sizes, read_stop_series
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.market import candles, market
from sigmapilot_core.adapters.postgres import history_store

from .asset_venue import NOW_MS, address, trades_of


def stored(platform: Platform, instance: dg.DagsterInstance, traders: int) -> None:
    """Market data and histories of some traders, one of which traded a coin that is no longer known."""
    dg.materialize([market, candles], instance=instance, resources={"platform": platform})
    with platform.transaction() as connection:
        for number in range(1, traders + 1):
            fills = trades_of(address(number), 20, 0.01)
            if number == 1:
                fills += [replace(fill, coin="GONE", tid=fill.tid + 10**9) for fill in fills]
            history_store.store_fills(connection, fills, NOW_MS)


@pytest.mark.slow
def test_several_processes_find_the_episodes_one_finds(platform: Platform, instance: dg.DagsterInstance) -> None:
    stored(platform, instance, 5)
    with platform.transaction() as connection:
        stops = read_stop_series(connection, platform.params)
        rules = FoldRules(known_sizes(connection), stops, NOW_MS, platform.params.episodes)
        alone = list(fold(connection, rules))
        together = list(folded_histories(connection, rules, bulk_fills=1, processes=2))
    assert [found.user for found in alone] == [address(number) for number in range(1, 6)]
    assert [len(found.episodes) for found in alone] == [20] * 5
    assert together == alone
