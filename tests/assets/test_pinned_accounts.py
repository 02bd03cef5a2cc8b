"""Pinned accounts in the graph: asked first, judged, followed in the snapshot, and voting only if they are drawn."""

from __future__ import annotations

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import pinned_store, snapshot_store
from sigmapilot_core.adapters.postgres.schema import model

from .asset_runs import rows, run_python_assets
from .asset_venue import FakeVenue, address, trades_of

CUSTOM, POOR, WINNER = address(50), address(7), address(1)


def test_pinned_accounts_are_followed_with_facts_and_verdicts_and_vote_only_from_the_pool(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    venue.histories |= {CUSTOM: trades_of(CUSTOM, 60, 0.05), POOR: trades_of(POOR, 3, 0.01)}
    with platform.engine.begin() as connection:
        for user in (CUSTOM, POOR, WINNER):
            pinned_store.pin(connection, user, None, pinned_store.Change("anna", platform.now(), "cli"))
    run_python_assets(platform, instance)

    with platform.engine.connect() as connection:
        snapshot = snapshot_store.read_snapshot(connection, 1)
        shown = {row["address"]: row for row in pinned_store.pinned_accounts(connection)}
    assert {CUSTOM, POOR, WINNER} <= set(snapshot.slow.tracked)
    members = {member.address for member in snapshot.slow.pool}
    assert WINNER in members
    assert not {CUSTOM, POOR} & members, "however good a record, who is not drawn does not vote"
    assert (shown[WINNER]["in_pool"], shown[CUSTOM]["in_pool"]) == (True, False)

    verdicts = {found["address"]: found for found in rows(platform, model.trader_filters)}
    assert verdicts[POOR]["not_hft"] == "pass", "a pinned account is worth its request"
    assert (verdicts[CUSTOM]["month_pnl"], verdicts[CUSTOM]["not_hft"]) == ("unknown", "pass")
    assert verdicts[CUSTOM]["eligible"] == "unknown"
    asked = {found["address"]: found["fill_count"] for found in rows(platform, model.trader_facts)}
    assert asked[CUSTOM] == 120
    with platform.engine.connect() as connection:
        oldest_row = sa.select(model.history_fills.c.address).order_by(sa.text("ctid")).limit(1)
        assert connection.execute(oldest_row).scalar_one() in (CUSTOM, POOR, WINNER), "they are asked before all others"
