"""Which trades a feed before this one handed on, so that the first replay of each coin tells whether any were missed.

The state that a worker keeps of its partition knows them up to an input; the journal has what came behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
import structlog

import sigmapilot_core
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, unseen
from sigmapilot_core.adapters.hyperliquid.wire import parse_frame
from sigmapilot_core.adapters.journal.checkpoints import code_version, loaded
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.records import JournalDamaged
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_core.domain.engine.share import Share

NOTHING = -1
"""The input before the first one."""
MAX_READ = 200_000
"""Inputs behind the state: more would take longer than a restart may."""
_TRADES = (b'"trades"', b'"userFills"')
_CHANNEL_WITHIN = 200
"""The venue names the channel first: frames of others need not be read."""

log = structlog.get_logger(__name__)


def recall(
    database: sa.Engine, folder: Path, shares: Sequence[Share], journals: Sequence[JournalWriter]
) -> TradeIntake | None:
    """What was seen in all partitions; None where that is not known exactly of one of them: a state is missing that
    this version of the code can read, or inputs are missing behind it."""
    found, code = TradeIntake(), running_code()
    with database.connect() as connection:
        progress = partition_store.read_progress(connection)
    for share, journal in zip(shares, journals, strict=True):
        seen = _of_partition(database, folder, share, (progress.get(share.name, NOTHING), journal.next_seq), code)
        if seen is None:
            log.warning("what was heard before is not known", partition=share.name)
            return None
        found.add(seen)
    return found


def running_code() -> str:
    """The version of the code that states are written and read by."""
    core = Path(sigmapilot_core.__file__).parent
    return code_version(core / "domain", core / "adapters" / "hyperliquid", Path(__file__).parents[1])


def _of_partition(
    database: sa.Engine, folder: Path, share: Share, reach: tuple[int, int], code: str
) -> TradeIntake | None:
    """Of one partition; `reach` is the last input that is committed, and the one that the journal goes on with."""
    with database.connect() as connection:
        stored = partition_store.read_checkpoint(connection, share.name)
    kept = None if stored is None or stored.code != code else loaded(zlib.decompress(stored.state), code)
    seen, seq = (TradeIntake(), NOTHING) if kept is None else (kept.state.decoder.intake, kept.seq)
    reader, (committed, end) = JournalReader(folder, share.name), reach
    if not seen.is_whole or end <= max(seq, committed) or end - seq > MAX_READ:
        return None
    if seq == NOTHING and reader.first_seq() not in (None, 0):
        return None
    try:
        for record in reader.read(seq + 1):
            if record.kind in (FrameKind.LIVE, FrameKind.HISTORY) and _may_hold_trades(record.payload):
                _see(seen, record.payload, record.received_ms)
    except JournalDamaged as error:
        log.warning("inputs from before the restart are lost", partition=share.name, reason=str(error))
        return None
    return seen


def _may_hold_trades(payload: bytes) -> bool:
    begin = payload[:_CHANNEL_WITHIN]
    return any(name in begin for name in _TRADES)


def _see(seen: TradeIntake, payload: bytes, received_ms: int) -> None:
    try:
        unseen(seen, parse_frame(payload, received_ms))
    except BadMessage:
        return  # told as a hole when it came; it held nothing that could be read
