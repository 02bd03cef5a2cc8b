"""A state is read back whole or not at all, by the code that wrote it, and builds nothing but values of the domain."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from sigmapilot_core.adapters.journal import JournalWriter, KeeperParams, tidy
from sigmapilot_core.adapters.journal import checkpoints as module
from sigmapilot_core.adapters.journal.checkpoints import KEPT, Checkpoint, CheckpointStore, Use, code_version, dumped
from sigmapilot_core.domain.engine.schedule import Due, Kind, Schedule
from sigmapilot_core.domain.events import Direction

STATE = {
    "px": Decimal("50000.10"),
    "votes": deque([Direction.LONG]),
    "seen": {(1, 2)},
    "due": Due(5, Kind.VOTES, "BTC"),
}
HOUR = 3_600_000
START = 1_761_584_400_000


def store(folder: Path, code: str = "v1") -> CheckpointStore:
    return CheckpointStore(folder, "p0", code)


def kept(*seqs: int, folder: Path, use: Use = Use.PASSING) -> CheckpointStore:
    found = store(folder)
    for seq in seqs:
        found.write(Checkpoint(seq, "v1", STATE), use=use)
    return found


def test_a_state_is_read_back_as_it_was(tmp_path: Path) -> None:
    found = kept(7, folder=tmp_path).read(7)
    assert found == Checkpoint(7, "v1", STATE)
    assert (tmp_path / "p0" / f"{7:020d}.checkpoint").stat().st_mode & 0o777 == 0o600


def test_members_of_enumerations_are_written_by_value_whatever_the_release_of_python() -> None:
    plain = dumped(Checkpoint(7, "v1", STATE))
    assert b"Direction" in plain
    assert b"getattr" not in plain


def test_a_schedule_goes_on_where_it_was(tmp_path: Path) -> None:
    schedule = Schedule()
    for due in (Due(9, Kind.VOTES, "BTC"), Due(4, Kind.RECONCILE, user="0x1")):
        schedule.add(due)
    store(tmp_path).write(Checkpoint(0, "v1", schedule))
    found = store(tmp_path).read(0)
    assert found is not None
    assert list(found.state.pop_due(10)) == list(schedule.pop_due(10))


def test_the_newest_usable_one_is_found_between_bounds(tmp_path: Path) -> None:
    found = kept(3, 8, folder=tmp_path)
    assert [found.newest(at).seq for at in (3, 7, 8, 99)] == [3, 3, 8, 8]  # type: ignore[union-attr]
    assert found.newest(2) is None
    assert found.newest(7, at_least=4) is None
    assert found.first(4).seq == 8  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "magic"])
def test_a_damaged_one_is_passed_over_and_counted(tmp_path: Path, damage: str) -> None:
    found = kept(3, 8, folder=tmp_path)
    path = tmp_path / "p0" / f"{8:020d}.checkpoint"
    data = path.read_bytes()
    flipped = data[:50] + bytes([data[50] ^ 1]) + data[51:]
    path.write_bytes({"cut": data[:-1], "flip": flipped, "empty": b"", "magic": b"XXXX" + data[4:]}[damage])
    assert found.newest(99).seq == 3  # type: ignore[union-attr]
    assert found.refused == 1


def test_a_state_of_another_version_of_the_code_is_not_read(tmp_path: Path) -> None:
    kept(3, folder=tmp_path)
    other = store(tmp_path, "v2")
    assert other.read(3) is None
    assert other.refused == 1


@dataclass
class Elsewhere:
    """A class of no package of ours."""


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return subprocess.getoutput, ("touch /nowhere",)


@pytest.mark.parametrize("forged", [Elsewhere(), _Runs(), os.system, code_version, print, Path("/")])
def test_a_forged_state_builds_nothing(tmp_path: Path, forged: object) -> None:
    store(tmp_path).write(Checkpoint(1, "v1", forged))
    assert store(tmp_path).read(1) is None


def test_only_the_newest_stay_and_those_with_a_use_of_their_own(tmp_path: Path) -> None:
    kept(1, folder=tmp_path, use=Use.DAY)
    kept(2, folder=tmp_path, use=Use.START)
    found = kept(*range(3, 9), folder=tmp_path)
    assert found.seqs() == [1, 2, *range(9 - KEPT, 9)]
    assert list(found.starts()) == [2]


def test_a_crash_in_mid_write_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept(1, folder=tmp_path)

    def crash(_: int) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", crash)
        with pytest.raises(OSError, match="power cut"):
            found.write(Checkpoint(2, "v1", STATE))
    assert found.seqs() == [1]
    assert found.newest(9) == Checkpoint(1, "v1", STATE)


def test_they_go_with_the_inputs_that_followed_them(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, "p0", lambda: 0.0) as journal:
        for n in range(4):
            journal.append("frame", START + n * HOUR, b"x")
    for seq in (0, 1, 2):
        kept(seq, folder=tmp_path, use=Use.DAY)
    tidy(tmp_path, START + 4 * HOUR, KeeperParams(retention_hours=2))  # inputs 2 and 3 stay
    assert store(tmp_path).seqs() == [1, 2]


def test_the_version_is_that_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    before = code_version(tmp_path)
    (tmp_path / "note.txt").write_text("not code")
    assert code_version(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    assert code_version(tmp_path) != before


def test_what_is_dumped_leads_with_its_version(tmp_path: Path) -> None:
    assert pickle.loads(dumped(Checkpoint(1, "v9", STATE))) == "v9"
