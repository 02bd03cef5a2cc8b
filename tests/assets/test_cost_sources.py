"""Each part of the cost names its source and its instant; the snapshot is as old as the oldest of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from sigmapilot_assets.model.costs import costs, own_fee
from sigmapilot_assets.model.volatility import volatility
from sigmapilot_assets.out.snapshot import _figures
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.market import market
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import market_store
from sigmapilot_core.adapters.postgres.schema.model import asset_costs, asset_volatility
from sigmapilot_core.adapters.recordings.candles import relayed
from sigmapilot_core.domain.params import HOUR_MS

from .asset_venue import NOW_MS, FakeVenue, address

RELAY = Path(__file__).resolve().parents[3] / "shared" / "data" / "hl-candles-relay-202607-08"


def computed(
    platform: Platform, instance: dg.DagsterInstance, *assets: dg.AssetsDefinition
) -> dg.ExecuteInProcessResult:
    return dg.materialize(list(assets), resources={"platform": platform}, instance=instance)


def stored(platform: Platform) -> dict[str, dict]:
    with platform.transaction() as connection:
        found = market_store.newest_per_asset(connection, asset_costs, platform.now() - timedelta(days=2))
    return {row["asset"]: row for row in found}


def test_the_fee_is_the_accounts_own_or_the_base_tier_with_the_reason(platform: Platform, venue: FakeVenue) -> None:
    assert (own_fee(platform).bps, own_fee(platform).said) == (4.5, "base tier: no account is set")
    own = replace(platform, account=address(3))
    assert (own_fee(own).bps, own_fee(own).source, own_fee(own).as_of) == (3.5, "account", platform.now())
    venue.silent = frozenset({address(3)})
    assert (own_fee(own).bps, own_fee(own).source, own_fee(own).as_of) == (4.5, "base_tier", None)
    assert "timed out" in own_fee(own).said


def test_the_snapshot_has_the_accounts_rate_and_is_as_old_as_the_venues_statement(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    own = replace(platform, account=address(3))
    assert computed(own, instance, market, costs).success
    later = replace(own, clock=FeedClock(NOW_MS + HOUR_MS))
    assert computed(later, instance, costs).success  # the venue was not asked again
    row = stored(later)["BTC"]
    assert (row["fee_source"], row["hold_source"], row["hold_episodes"]) == ("account", "default", 0)
    assert row["computed_at"] - row["funding_as_of"] == timedelta(hours=1)
    figures = _figures({"coin": "BTC", "sz_decimals": 5}, None, row)
    assert (figures.taker_fee_bps, figures.costs_as_of_ms) == (3.5, NOW_MS)
    base = _figures({"coin": "BTC", "sz_decimals": 5}, None, row | {"fee_source": "base_tier"})
    assert base.taker_fee_bps is None, "the base tier is no rate of the account"


@pytest.mark.realdata
def test_volatility_of_real_candles_falls_back_by_age_and_says_so(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    if not RELAY.exists():
        pytest.skip("recorded candles are not beside the project (../shared/data/hl-candles-relay-202607-08)")
    bars = [bar for coin in ("BTC", "ETH", "SOL") for bar in relayed(RELAY, coin, "1h")]
    end_ms = max(bar.close_ms for bar in bars)
    computed(replace(platform, clock=FeedClock(end_ms)), instance, market)
    with platform.transaction() as connection:
        market_store.store_hourly(connection, bars)
    sources = {}
    for hours in (0, 2, 3, 11, 30):
        at = replace(platform, clock=FeedClock(end_ms + hours * HOUR_MS))
        assert computed(at, instance, volatility).success
        with at.transaction() as connection:
            found = market_store.newest_per_asset(connection, asset_volatility, at.now() - timedelta(minutes=1))
        sources[hours] = {row["asset"]: row for row in found}["BTC"]
    assert [sources[hours]["source"] for hours in (0, 2, 3, 11, 30)] == [
        "atr",
        "atr",
        "realised_vol",
        "realised_vol",
        "fallback",
    ]
    assert sources[0]["regime"] in {"trending", "ranging", "volatile"}
    assert sources[30]["regime"] == "unknown"
    assert 0.001 <= sources[0]["stop_fraction"] <= 0.05
    assert sources[30]["stop_fraction"] == 0.02  # 1 % x 2
