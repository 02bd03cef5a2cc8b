"""The pool: chosen by Thompson sampling among eligible traders, and the daily row of every trader (spec 1.5, 1.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.model.trader_days import liquidated_users, trader_day_rows
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import history_store, leaderboard_store, trader_store
from sigmapilot_core.domain.params import BanditParams
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.traders.filters import FilterResult, TraderFacts
from sigmapilot_core.domain.traders.learning import TraderLearning
from sigmapilot_core.domain.traders.posterior import Posterior, prior
from sigmapilot_core.domain.traders.status import is_alive
from sigmapilot_core.domain.traders.thompson import Candidate, Selection, candidate_of, choose_pool
from sigmapilot_core.domain.venue import LeaderboardRow

LIMIT_TAG = "sigmapilot/limit"


@dataclass(frozen=True, slots=True)
class Known:
    """Everything stored that the choice rests on."""

    day: date
    rows: Sequence[LeaderboardRow]
    results: Sequence[FilterResult]
    performance: dict[str, dict[str, Any]]
    facts: dict[str, history_store.TraderFacts]
    peaks: dict[str, float]
    liquidated: frozenset[str]


@dg.asset(
    name="model_traders__pool",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    deps=["core_traders__filters", "model_traders__posteriors"],
    check_specs=[dg.AssetCheckSpec("pool_is_within_its_size", asset="model_traders__pool", blocking=True)],
)
def pool(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Draw a new selection version: posterior draws from the stored key, slots by group, one row a trader and day.

    A run started with `/alpha-pool/refresh?limit=N` carries the tag `sigmapilot/limit` and draws N slots.
    """
    rules = bandit_rules(platform.params.bandit, context.run.tags)
    with platform.transaction() as connection:
        known = _read(connection, platform)
        version = trader_store.next_selection_version(connection)
        candidates = [
            _candidate(result, row, known, platform) for result, row in zip(known.results, known.rows, strict=True)
        ]
        if platform.pool_flavour == "recording":
            candidates = _only_recorded(candidates, known, platform)
        selection = choose_pool(candidates, known.day, version, rules)
        _store(connection, selection, known, platform)
    members = selection.pool
    shown = [[row.address, row.draw, row.rank, row.slot.value if row.slot else "", row.reason] for row in members[:15]]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(members),
            "eligible": len(selection.drawn),
            "selection_version": version,
            "philox_key": selection.key_hex,
            "note": selection.reason or "all slots filled as planned",
            "pool": preview_table(["address", "draw", "rank", "slot", "reason"], shown),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="pool_is_within_its_size",
                passed=len(members) <= rules.pool_size,
                metadata={"members": len(members), "size": rules.pool_size},
            )
        ],
    )


def bandit_rules(rules: BanditParams, tags: Mapping[str, str]) -> BanditParams:
    """The settings, with the number of slots the run was asked for.

    Raises:
        Failure: the tag is not a whole number from 10 to 200.
    """
    wanted = tags.get(LIMIT_TAG)
    if wanted is None:
        return rules
    if not wanted.isdecimal() or not 10 <= int(wanted) <= 200:
        raise dg.Failure(f"{LIMIT_TAG} is {wanted!r}; allowed is a whole number from 10 to 200")
    return replace(rules, pool_size=int(wanted))


def _read(connection: sa.Connection, platform: Platform) -> Known:
    day = leaderboard_store.newest_day(connection, platform.today())
    if day is None:
        raise dg.Failure("no leaderboard is stored yet; materialise raw_hyperliquid__leaderboard first")
    rows = leaderboard_store.read_leaderboard(connection, day)
    facts = history_store.read_facts(connection)
    results = [filters.evaluate(row, _facts(facts.get(row.address)), platform.params.filters) for row in rows]
    return Known(
        day=day,
        rows=rows,
        results=results,
        performance=trader_store.read_performance(connection),
        facts=facts,
        peaks=leaderboard_store.peak_account_values(connection, [row.address for row in rows], day),
        liquidated=liquidated_users(connection),
    )


def _facts(stored: history_store.TraderFacts | None) -> TraderFacts | None:
    return TraderFacts(stored.orders_per_day, stored.has_sub_accounts, stored.has_major_fill) if stored else None


def _candidate(result: FilterResult, row: LeaderboardRow, known: Known, platform: Platform) -> Candidate:
    alive = is_alive(
        row.account_value_usd,
        known.peaks.get(row.address),
        row.address in known.liquidated,
        platform.params.skill,
    )
    return candidate_of(result, learning_of(known.performance.get(row.address), platform), alive)


def learning_of(stored: dict[str, Any] | None, platform: Platform) -> TraderLearning:
    """The stored posterior of a trader, or the prior where nothing was learnt yet."""
    as_of_ms = platform.clock.now_ms()
    if stored is None:
        base = prior(platform.params.posterior)
        weight = base.kappa / (base.kappa + platform.params.posterior.weight_kappa)
        return TraderLearning(base, 0.0, weight, 0, 0, None, None, None, 0.0, None, as_of_ms)
    posterior = Posterior(stored["nig_m"], stored["nig_kappa"], stored["nig_alpha"], stored["nig_beta"])
    return TraderLearning(
        posterior=posterior,
        n_eff=stored["n_eff"],
        weight=posterior.kappa / (posterior.kappa + platform.params.posterior.weight_kappa),
        n_episodes=stored["episode_count"],
        n_wins=stored["win_count"],
        mean_gross_unclamped=stored["mean_unclamped_gross_r"],
        share_below_clamp=stored["share_below_clamp"],
        mean_r=stored["avg_r"],
        total_r=stored["total_pnl_r"],
        last_closed_at_ms=int(stored["last_closed_at"].timestamp() * 1000),
        as_of_ms=int(stored["as_of"].timestamp() * 1000),
    )


def _only_recorded(candidates: Sequence[Candidate], known: Known, platform: Platform) -> list[Candidate]:
    """Pool `recording`: filters 1-4, and the trader occurs in the recording."""
    with platform.open_venue() as venue:
        recorded = frozenset(venue.recorded_users())
    chosen = frozenset(filters.recording_pool(known.results, recorded))
    return [candidate for candidate in candidates if candidate.address in chosen]


def _store(connection: sa.Connection, selection: Selection, known: Known, platform: Platform) -> None:
    by_address = {row.address: row for row in known.rows}
    members = []
    for drawn in selection.pool:
        row = by_address[drawn.address]
        month = row.windows.get("month")
        members.append(
            {
                "as_of_date": known.day,
                "selection_version": selection.version,
                "address": drawn.address,
                "selection_rank": drawn.rank,
                "thompson_draw": drawn.draw,
                "slot": drawn.slot.value if drawn.slot else None,
                "slot_reason": drawn.reason,
                "account_value": row.account_value_usd,
                "pnl_30d": month.pnl_usd if month else None,
                "roi_30d": month.roi if month else None,
            }
        )
    enough = platform.params.bandit.min_episodes
    learnt = [
        drawn for drawn in selection.drawn if known.performance.get(drawn.address, {}).get("n_eff", 0.0) >= enough
    ]
    trader_store.store_selection(
        connection,
        {
            "as_of_date": known.day,
            "selection_version": selection.version,
            "drawn_at": platform.now(),
            "philox_key": selection.key_hex,
            "flavour": platform.pool_flavour,
            "eligible_count": len(selection.drawn),
            "reason": selection.reason,
            "learning_count": len(learnt),
        },
        members,
    )
    trader_store.store_trader_days(connection, trader_day_rows(connection, selection, known, platform))
