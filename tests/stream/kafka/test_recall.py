"""What a feed before this one heard: from the partitions' states and the journal behind them, or not at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.hyperliquid.gaps import Gap, TradeIntake
from sigmapilot_core.adapters.hyperliquid.messages import TradesMessage
from sigmapilot_core.adapters.hyperliquid.received import unseen
from sigmapilot_core.adapters.hyperliquid.wire import parse_frame
from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, dumped
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_core.adapters.postgres.partition_store import Stored
from sigmapilot_core.domain.engine.share import Share, partition_of, shares
from sigmapilot_core.domain.events import Trade
from sigmapilot_stream.kafka.recall import recall, running_code
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import POOL, T0

COINS = tuple(next(c for c in ("BTC", "ETH", "SOL", "XRP", "DOGE") if partition_of(c, 2) == n) for n in (0, 1))
"""One of each partition."""


def frame(coin: str, *tids: int) -> bytes:
    """Trades of a coin, one a second."""
    rows = [
        {
            "coin": coin, "side": "B", "px": "100.0", "sz": "0.5", "time": T0 + 1_000 * tid, "hash": f"0x{tid:064x}",
            "tid": tid, "users": [POOL[0], POOL[1]],
        }
        for tid in tids
    ]  # fmt: skip
    return orjson.dumps({"channel": "trades", "data": rows})


def trades(coin: str, *tids: int) -> tuple[Trade, ...]:
    found = parse_frame(frame(coin, *tids), T0)
    assert isinstance(found, TradesMessage)
    return found.trades


@dataclass
class Before:
    """What a feed and its workers left."""

    database: sa.Engine
    folder: Path
    journals: list[JournalWriter]

    def hear(self, partition: int, *tids: int) -> None:
        self.journals[partition].append("live", T0, frame(COINS[partition], *tids))
        self.journals[partition].append("tick", T0, b"{}")

    def keep(self, partition: int, *tids: int, code: str = "", is_whole: bool = True) -> None:
        """The state of a partition behind all inputs so far, in which these trades were read."""
        share, seq = shares(2)[partition], self.journals[partition].next_seq - 1
        worker = Worker(share.name, lambda: 0, share)
        unseen(worker.trades_seen, parse_frame(frame(COINS[partition], *tids), T0))
        worker.trades_seen.is_whole = is_whole
        name = code or running_code()
        plain = dumped(Checkpoint(seq, name, worker.state))
        with self.database.begin() as connection:
            held = partition_store.claim(connection, share.name, "w")
            moved = partition_store.advance(connection, held, max(seq, held.seq))
            partition_store.store_checkpoint(connection, moved, Stored(seq, name, zlib.compress(plain)))

    def recalled(self) -> TradeIntake | None:
        return recall(self.database, self.folder, shares(2), self.journals)


@pytest.fixture
def before(new_database: Callable[[], sa.Engine], tmp_path: Path) -> Iterator[Before]:
    with ExitStack() as ends:
        found = [ends.enter_context(JournalWriter(tmp_path, share.name, lambda: 0.0)) for share in shares(2)]
        yield Before(new_database(), tmp_path, found)


def gaps(seen: TradeIntake, coin: str, *tids: int) -> tuple[Gap, ...]:
    """What the first replay of a coin tells."""
    seen.expect_history(coin)
    return seen.take(trades(coin, *tids)).gaps


def test_the_first_replay_tells_whether_trades_were_missed_in_any_partition(before: Before) -> None:
    before.hear(0, 1, 2)
    before.keep(0, 1, 2)
    before.hear(0, 3)
    before.hear(1, 1, 2, 3)  # no state was kept of this one yet: the journal has all of it
    found = before.recalled()
    assert found is not None
    assert gaps(found, COINS[0], 3, 4) == ()
    assert gaps(found, COINS[1], 5, 6) == (Gap(COINS[1], T0 + 3_000, T0 + 5_000),)


def test_what_the_state_knows_need_not_be_in_the_journal_any_more(before: Before) -> None:
    before.hear(0, 1, 2)
    before.keep(0, 1, 2)
    before.journals[0].go_on_after(40)
    for file in (before.folder / "0-of-2").glob("*.journal"):
        file.unlink()
    before.keep(0, 1, 2)
    before.hear(0, 3)
    found = before.recalled()
    assert found is not None
    assert gaps(found, COINS[0], 2, 3, 4) == ()


def test_a_first_start_has_missed_nothing(before: Before) -> None:
    found = before.recalled()
    assert found is not None
    assert gaps(found, COINS[0], 7) == ()


def test_a_state_of_other_code_is_not_read_and_without_the_whole_journal_nothing_is_known(before: Before) -> None:
    before.hear(0, 1, 2)
    before.keep(0, 1, 2, code="another")
    found = before.recalled()
    assert found is not None, "the journal begins with the first input"
    before.journals[0].go_on_after(40)
    for file in (before.folder / "0-of-2").glob("*.journal"):
        file.unlink()
    before.hear(0, 3)
    assert before.recalled() is None


def test_a_journal_that_ends_before_what_is_committed_tells_nothing(before: Before) -> None:
    with before.database.begin() as connection:
        held = partition_store.claim(connection, Share(1, 2).name, "w")
        partition_store.advance(connection, held, 12)
    before.hear(1, 1)
    assert before.recalled() is None


def test_a_state_that_was_rebuilt_from_the_tables_does_not_know_what_was_heard_before(before: Before) -> None:
    before.hear(0, 1, 2)
    before.keep(0, is_whole=False)
    assert before.recalled() is None
