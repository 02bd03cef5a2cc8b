"""One row a trader and draw: who entered, was promoted, died or went silent (spec 1.5). Rows are never deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import trader_store
from sigmapilot_core.adapters.postgres.schema.model import history_fills
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders.status import DailyStatus, DeathCause, TraderDay, TraderStatus, status_of
from sigmapilot_core.domain.traders.thompson import Drawn, Selection
from sigmapilot_core.domain.venue import LeaderboardRow

if TYPE_CHECKING:
    from sigmapilot_assets.model.pool import Known


def liquidated_users(connection: sa.Connection) -> frozenset[str]:
    """Traders with a liquidation among their fetched fills."""
    table = history_fills
    return frozenset(connection.execute(sa.select(table.c.address).where(table.c.is_liquidation).distinct()).scalars())


def trader_day_rows(
    connection: sa.Connection, selection: Selection, known: Known, platform: Platform
) -> list[dict[str, Any]]:
    """Rows of every trader that was ever asked or has an episode, and of those that vanished from the leaderboard."""
    previous = trader_store.last_trader_days(connection, selection.version)
    rows = {row.address: row for row in known.rows}
    drawn = {row.address: row for row in selection.drawn}
    last_fills = _last_fills(connection, known, platform)
    wanted = set(known.facts) | set(known.performance) | set(previous) | set(drawn)
    return [
        _row(
            address,
            rows.get(address),
            drawn.get(address),
            previous.get(address),
            last_fills.get(address),
            selection,
            known,
            platform,
        )
        for address in sorted(wanted)
    ]


def _last_fills(connection: sa.Connection, known: Known, platform: Platform) -> dict[str, int]:
    """The newest fill known of each trader: of the fetched history, which ages, or seen live since."""
    found = {
        address: int(facts.last_fill_at.timestamp() * 1000)
        for address, facts in known.facts.items()
        if facts.last_fill_at
    }
    since_ms = platform.clock.now_ms() - round(platform.params.skill.censor_days * DAY_MS)
    for address, newest in trader_store.last_live_fills(connection, since_ms).items():
        found[address] = max(newest, found.get(address, 0))
    return found


def _row(
    address: str,
    row: LeaderboardRow | None,
    drawn: Drawn | None,
    before: dict[str, Any] | None,
    last_fill_ms: int | None,
    selection: Selection,
    known: Known,
    platform: Platform,
) -> dict[str, Any]:
    is_selected = drawn is not None and drawn.slot is not None
    status = _status(address, row, before, last_fill_ms, is_selected, known, platform)
    learnt = known.performance.get(address, {})
    facts = known.facts.get(address)
    month, week = (row.windows.get("month"), row.windows.get("week")) if row else (None, None)
    return {
        "snapshot_date": selection.selection_date,
        "address": address,
        "selection_version": selection.version,
        "event_type": status.status.value,
        "death_type": status.death.value if status.death else None,
        "censor_type": status.censor.value if status.censor else None,
        "account_value": row.account_value_usd if row else None,
        "peak_account_value": known.peaks.get(address),
        "pnl_30d": month.pnl_usd if month else None,
        "roi_30d": month.roi if month else None,
        "week_volume": week.volume_usd if week else None,
        "orders_per_day": facts.orders_per_day if facts else None,
        "episode_count": learnt.get("episode_count", 0),
        "avg_r_gross": learnt.get("mean_unclamped_gross_r"),
        "avg_r_net": learnt.get("avg_r"),
        "nig_m": learnt.get("nig_m"),
        "nig_kappa": learnt.get("nig_kappa"),
        "nig_alpha": learnt.get("nig_alpha"),
        "nig_beta": learnt.get("nig_beta"),
        "thompson_draw": drawn.draw if drawn else None,
        "selection_rank": drawn.rank if drawn else None,
        "is_eligible": drawn is not None,
        "is_selected": is_selected,
        "skill_p_value": None,
        "fdr_qualified": None,
    }


def _status(
    address: str,
    row: LeaderboardRow | None,
    before: dict[str, Any] | None,
    last_fill_ms: int | None,
    is_selected: bool,
    known: Known,
    platform: Platform,
) -> TraderStatus:
    was_dead = before is not None and before["event_type"] == DailyStatus.DEATH.value
    day = TraderDay(
        equity_usd=row.account_value_usd if row else None,
        peak_equity_usd=known.peaks.get(address),
        was_liquidated=address in known.liquidated,
        last_fill_ms=last_fill_ms,
        is_observed=row is not None,
        in_pool=is_selected,
        was_in_pool=bool(before and before["is_selected"]),
        previous=DailyStatus(before["event_type"]) if before else None,
        previous_death=DeathCause(before["death_type"]) if before and was_dead else None,
    )
    return status_of(day, platform.clock.now_ms(), platform.params.skill)
