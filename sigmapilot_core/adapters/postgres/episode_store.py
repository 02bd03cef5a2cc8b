"""Episodes as rows: the same columns for those seen live (stream) and those built from fetched histories (assets)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.bulk import write_dicts
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.schema.model import history_episodes
from sigmapilot_core.domain.traders.episode import Episode, OpenEpisode
from sigmapilot_core.domain.traders.learning import LearnableEpisodes


def closed_row(episode: Episode) -> dict[str, Any]:
    """Row of a closed episode, without the stream's `state`."""
    notional = None if episode.entry_vwap is None else float(episode.entry_vwap * episode.size)
    return {
        "id": episode.id,
        "address": episode.user,
        "asset": episode.coin,
        "direction": episode.direction.value,
        "status": "closed",
        "entry_ts": at(episode.opened_at_ms),
        "exit_ts": at(episode.closed_at_ms),
        "entry_vwap": _float(episode.entry_vwap),
        "exit_vwap": _float(episode.exit_vwap),
        "size": episode.size,
        "entry_notional_usd": notional,
        "realized_pnl": episode.realised,
        "fees_usd": episode.fees,
        "fees_estimated": episode.fees_estimated,
        "funding_usd": episode.funding,
        "stop_fraction": episode.stop_fraction,
        "risk_usd": episode.risk_usd,
        "r_gross": episode.r_gross,
        "r_gross_unclamped": episode.r_gross_unclamped,
        "result_r": episode.result_r,
        "result_r_unclamped": episode.result_r_unclamped,
        "closed_reason": episode.closed_reason.value,
        "gap": episode.is_gap,
        "first_seen_mid_life": episode.first_seen_mid_life,
        "learnable": episode.learnable,
        "source": episode.source.value,
        "known_since_ms": episode.known_since_ms,
        "entry_fill_count": episode.entry_fill_count,
        "exit_fill_count": episode.exit_fill_count,
        "add_count": episode.add_count,
    }


def open_row(episode: OpenEpisode) -> dict[str, Any]:
    """Row of an episode on its way: everything that is only known at the end is null."""
    vwap = episode.entry_vwap
    return {
        "id": episode.id,
        "address": episode.user,
        "asset": episode.coin,
        "direction": episode.direction.value,
        "status": "open",
        "entry_ts": at(episode.opened_at_ms),
        "exit_ts": None,
        "entry_vwap": _float(vwap),
        "exit_vwap": None,
        "size": episode.size,
        "entry_notional_usd": None if vwap is None else float(vwap * episode.size),
        "realized_pnl": episode.realised,
        "fees_usd": episode.fees,
        "fees_estimated": episode.fees_estimated,
        "funding_usd": episode.funding,
        "stop_fraction": episode.stop_fraction,
        "risk_usd": None,
        "r_gross": None,
        "r_gross_unclamped": None,
        "result_r": None,
        "result_r_unclamped": None,
        "closed_reason": None,
        "gap": episode.is_gap,
        "first_seen_mid_life": episode.first_seen_mid_life,
        "learnable": False,
        "source": episode.source.value,
        "known_since_ms": episode.known_since_ms,
        "entry_fill_count": episode.entry_fill_count,
        "exit_fill_count": episode.exit_fill_count,
        "add_count": episode.add_count,
    }


def replace_history_episodes(connection: sa.Connection, users: Sequence[str], episodes: Iterable[Episode]) -> int:
    """Episodes of fetched histories are a function of the fills: those of these users are rebuilt as a whole."""
    connection.execute(
        history_episodes.delete().where(
            history_episodes.c.address == sa.any_(sa.literal(list(users), sa.ARRAY(sa.Text)))
        )
    )
    return write_dicts(connection, history_episodes, [closed_row(episode) for episode in episodes], "update")


def read_learnable(
    connection: sa.Connection, before_ms: int, since_ms: int = 0, users: Sequence[str] | None = None
) -> LearnableEpisodes:
    """Learnable episodes closed in [since, before), of live and fetched history; of some users or of all."""
    query = sa.text(
        """
        SELECT address, asset, (extract(epoch FROM exit_ts) * 1000)::bigint,
               (extract(epoch FROM exit_ts - entry_ts) * 1000)::bigint, r_gross, r_gross_unclamped, result_r
          FROM all_episodes
         WHERE status = 'closed' AND learnable AND exit_ts >= :since AND exit_ts < :before
           AND (:is_all OR address = ANY(:users))
         ORDER BY address, exit_ts, id
        """
    )
    bound = {"since": at(since_ms), "before": at(before_ms), "is_all": users is None, "users": list(users or ())}
    return _columns(connection.execute(query, bound).all())


def read_known(connection: sa.Connection, as_of_ms: int, settled_ms: int) -> LearnableEpisodes:
    """Learnable episodes closed before an instant and known by then: what could be learnt from on that day.

    Of those seen live only what was heard by `settled_ms` counts. Unlike `read_learnable` nothing that was known later
    hides an episode: a fetched one stands back only where a live one that was itself known by then covers its time.
    """
    query = sa.text(
        """
        WITH live AS (
            SELECT * FROM position_signals
             WHERE status = 'closed' AND learnable AND exit_ts < :as_of AND known_since_ms <= :settled_ms
        ), fetched AS (
            SELECT * FROM history_episodes h
             WHERE status = 'closed' AND learnable AND exit_ts < :as_of AND known_since_ms <= :as_of_ms
               AND NOT EXISTS (
                   SELECT 1 FROM live p
                    WHERE p.address = h.address AND p.asset = h.asset
                      AND (p.entry_ts = h.entry_ts OR (p.entry_ts < h.exit_ts AND p.exit_ts > h.entry_ts)))
        )
        SELECT address, asset, (extract(epoch FROM exit_ts) * 1000)::bigint,
               (extract(epoch FROM exit_ts - entry_ts) * 1000)::bigint, r_gross, r_gross_unclamped, result_r
          FROM (SELECT id, address, asset, entry_ts, exit_ts, r_gross, r_gross_unclamped, result_r FROM live
                UNION ALL
                SELECT id, address, asset, entry_ts, exit_ts, r_gross, r_gross_unclamped, result_r FROM fetched) known
         ORDER BY address COLLATE "C", exit_ts, id COLLATE "C"
        """
    )
    bound = {"as_of": at(as_of_ms), "as_of_ms": as_of_ms, "settled_ms": settled_ms}
    return _columns(connection.execute(query, bound).all())


def _columns(rows: Sequence[Any]) -> LearnableEpisodes:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    return LearnableEpisodes(
        np.array(columns[0], dtype=np.str_),
        np.array(columns[1], dtype=np.str_),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.int64),
        np.array(columns[4], dtype=np.float64),
        np.array(columns[5], dtype=np.float64),
        np.array(columns[6], dtype=np.float64),
    )


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
