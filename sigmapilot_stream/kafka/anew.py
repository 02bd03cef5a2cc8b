"""A partition's state from what the tables hold, where no stored state can be read: after another version of the code
was installed, or the coins were divided anew. Ledgers are right; nobody counts until his positions were asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import decision_store, snapshot_store, stream_store
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_core.domain.engine.share import Share
from sigmapilot_stream.worker import Worker

RECENT_FILLS_MS = 20 * 60 * 1000
RECENT_DECISIONS = timedelta(days=1)

log = structlog.get_logger(__name__)


def rebuild(database: sa.Engine, worker: Worker, share: Share, seq: int, now_ms: int) -> None:
    """Give a fresh worker what the tables hold of the share's coins; a model in force only if inputs came before."""
    with database.connect() as connection:
        states = {key: state for key, state in stream_store.read_positions(connection).items() if key[1] in share}
        newest_ms = max((state.ledger.time_ms for state in states.values()), default=now_ms)
        recent = stream_store.recent_fills(connection, newest_ms - RECENT_FILLS_MS)
        keys = decision_store.last_keys(connection, datetime.fromtimestamp(newest_ms / 1000, UTC) - RECENT_DECISIONS)
        signals = decision_store.last_signals(connection)
        worker.begin_anew()
        worker.trades_seen.is_whole = seq < 0
        worker.engine.restore(
            states=states,
            primed={},
            recent_fills=[fill for fill, _ in recent if fill.coin in share],
            last_keys={coin: key for coin, key in keys.items() if coin in share},
            followed=[one for one in decision_store.read_followed(connection) if one.coin in share],
            signal_times_ms={coin: at for coin, at in signals.items() if coin in share},
        )
        version = snapshot_store.newest_version(connection)
        if version is None or seq < 0:
            return
        snapshot = snapshot_store.read_snapshot(connection, version)
    worker.begin(SnapshotActivated(snapshot, newest_ms, seq))
    log.warning("state rebuilt from the tables", partition=share.name, seq=seq, snapshot=version)
