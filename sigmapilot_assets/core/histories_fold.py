"""Stored histories folded into episodes; by several processes where there are many, as traders are independent."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa

from sigmapilot_assets.market_data import StopSeries
from sigmapilot_core.adapters.child_process import die_with_parent
from sigmapilot_core.adapters.postgres import history_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import EpisodeParams
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.history import build_history

BULK_FILLS = 300_000
"""From so many fills on, further processes take less time than they need to start."""

_BATCH_FILLS = 50_000


@dataclass(frozen=True, slots=True)
class FoldRules:
    """What episodes are made with: lots of the known coins, stops and marks, the instant up to which."""

    sizes: dict[str, int]
    stops: StopSeries
    until_ms: int
    params: EpisodeParams


@dataclass(frozen=True, slots=True)
class Folded:
    """Closed episodes of one trader and how many gaps its history has."""

    user: str
    episodes: tuple[Episode, ...]
    gap_count: int


def folded_histories(
    connection: sa.Connection, rules: FoldRules, bulk_fills: int = BULK_FILLS, processes: int | None = None
) -> Iterator[Folded]:
    """Episodes of every trader with a stored history, by address.

    A process for each processor once there are `bulk_fills`. Each reads on a connection of its own, and so only what
    is committed; a trader's history is stored in one transaction.
    """
    counts = history_store.fill_counts(connection)
    workers = len(os.sched_getaffinity(0)) if processes is None else processes
    if workers < 2 or sum(counts.values()) < bulk_fills:
        yield from fold(connection, rules)
        return
    url = connection.engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")  # a fork would inherit the connections and threads of a step
    with ProcessPoolExecutor(workers, context, _begin, (url, rules, os.getpid())) as pool:
        for found in pool.map(_fold_batch, _batches(counts)):
            yield from found


def fold(connection: sa.Connection, rules: FoldRules, users: Sequence[str] | None = None) -> Iterator[Folded]:
    """The same in this process, of all traders or of some."""
    for user, fills in history_store.iter_histories(connection, users):
        history = build_history(
            _of_known_coins(fills, rules.sizes),
            sz_decimals=rules.sizes,
            stop_at=rules.stops.stop_at,
            mark_at=rules.stops.mark_at,
            until_ms=rules.until_ms,
            params=rules.params,
        )
        yield Folded(user, history.episodes, history.gap_count)


def _of_known_coins(fills: list[Fill], sizes: dict[str, int]) -> Iterator[Fill]:
    return (fill for fill in fills if fill.coin in sizes)


def _batches(counts: dict[str, int]) -> Iterator[list[str]]:
    """Traders by address, about `_BATCH_FILLS` fills at a time."""
    held, n_fills = list[str](), 0
    for user, count in sorted(counts.items()):
        held.append(user)
        n_fills += count
        if n_fills >= _BATCH_FILLS:
            yield held
            held, n_fills = [], 0
    if held:
        yield held


class _Worker:
    """What a process of the pool was begun with."""

    engine: sa.Engine
    rules: FoldRules


def _begin(url: str, rules: FoldRules, parent: int) -> None:
    die_with_parent(parent=parent)()
    _Worker.engine, _Worker.rules = create_engine(url, pool_size=1), rules


def _fold_batch(users: list[str]) -> list[Folded]:
    with _Worker.engine.connect() as connection:
        return list(fold(connection, _Worker.rules, users))
