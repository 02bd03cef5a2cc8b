"""What is believed of every trader with a learnable episode (spec 1.4, 1.5)."""

from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import trader_store
from sigmapilot_core.adapters.postgres.episode_store import read_learnable
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.domain.traders.day import skill_tests
from sigmapilot_core.domain.traders.learning import LearnableEpisodes, LearningTable, learn_many
from sigmapilot_core.domain.traders.skill import fdr_qualified


@dg.asset(
    name="model_traders__posteriors",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    deps=["core_traders__episodes", "stream_episodes"],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    check_specs=[dg.AssetCheckSpec("parameters_are_proper", asset="model_traders__posteriors", blocking=True)],
)
def posteriors(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Normal-Inverse-Gamma posterior of each trader's gross R from discounted evidence, as of now."""
    as_of_ms = platform.clock.now_ms()
    with platform.transaction() as connection:
        episodes = read_learnable(connection, as_of_ms)
        names, index = np.unique(episodes.address, return_inverse=True)
        table = learn_many(
            index,
            episodes.closed_at_ms,
            episodes.r_gross_unclamped,
            len(names),
            as_of_ms,
            platform.params.posterior,
            platform.params.episodes.r_clamp,
        )
        rows = _rows(names.tolist(), index, episodes, table, as_of_ms)
        trader_store.store_performance(connection, rows)
    proper = bool(np.all(np.isfinite(table.m)) and np.all(table.kappa > 0) and np.all(table.beta > 0))
    best = sorted(rows, key=lambda row: -row["nig_m"])[:10]
    columns = ["address", "nig_m", "nig_kappa", "n_eff", "episode_count", "avg_r"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            "episodes": len(episodes.address),
            "highest_means": preview_table(columns, [[row[name] for name in columns] for row in best]),
        },
        check_results=[dg.AssetCheckResult(check_name="parameters_are_proper", passed=proper)],
    )


def _rows(
    names: list[str], index: np.ndarray, episodes: LearnableEpisodes, table: LearningTable, as_of_ms: int
) -> list[dict[str, Any]]:
    """One row a trader; sums of net R are plain, undiscounted figures for people."""
    size = len(names)
    count = np.bincount(index, minlength=size)
    net = np.bincount(index, weights=episodes.result_r, minlength=size)
    squares = np.bincount(index, weights=episodes.result_r**2, minlength=size)
    wins = np.bincount(index, weights=episodes.r_gross > 0, minlength=size)
    last = np.zeros(size, dtype=np.int64)
    np.maximum.at(last, index, episodes.closed_at_ms)
    mean = net / np.maximum(count, 1)
    return [
        {
            "address": name,
            "as_of": at(as_of_ms),
            "nig_m": float(table.m[i]),
            "nig_kappa": float(table.kappa[i]),
            "nig_alpha": float(table.alpha[i]),
            "nig_beta": float(table.beta[i]),
            "n_eff": float(table.n_eff[i]),
            "episode_count": int(count[i]),
            "win_count": int(wins[i]),
            "avg_r": float(mean[i]),
            "r_variance": float(squares[i] / count[i] - mean[i] ** 2),
            "mean_unclamped_gross_r": _known(table.mean_gross_unclamped[i]),
            "total_pnl_r": float(net[i]),
            "share_below_clamp": _known(table.share_below_clamp[i]),
            "last_closed_at": at(int(last[i])),
        }
        for i, name in enumerate(names)
    ]


def _known(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


@dg.asset(
    name="model_traders__skill",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "scipy", "postgres"},
    deps=["core_traders__episodes", "stream_episodes", "model_traders__pool"],
)
def skill(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """One-sided test of mean net R per trader on daily sums, Benjamini-Hochberg over the day: labels, never a gate."""
    as_of_ms = platform.clock.now_ms()
    with platform.transaction() as connection:
        selection = trader_store.newest_selection(connection)
        if selection is None:
            raise dg.Failure("no pool was drawn yet; materialise model_traders__pool first")
        tests = skill_tests(read_learnable(connection, as_of_ms), platform.params)
        labels = fdr_qualified(tests, platform.params.skill)
        rows = [{"of": address, "p": test.p_value, "q": labels[address]} for address, test in tests.items()]
        trader_store.store_skill(connection, selection["as_of_date"], selection["selection_version"], rows)
    testable = [test for test in tests.values() if test.p_value is not None]
    found = sum(label is True for label in labels.values())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(tests),
            "testable": len(testable),
            "discoveries": found,
            "fdr_alpha": platform.params.skill.fdr_alpha,
        }
    )
