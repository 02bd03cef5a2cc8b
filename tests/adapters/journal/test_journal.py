"""What was written is read back in order; a crash costs at most an incomplete last record; damage is never hidden."""

import errno
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.adapters.journal import (
    Fsync,
    JournalBusy,
    JournalDamaged,
    JournalReader,
    JournalWriteError,
    JournalWriter,
    KeeperParams,
    Record,
    WriterParams,
    partitions,
    tidy,
)
from sigmapilot_core.adapters.journal import writer as writer_module
from sigmapilot_core.adapters.journal.files import file_name, hour_of, journal_files
from sigmapilot_core.adapters.journal.records import encode_record

HOUR = 3_600_000
START = 1_761_584_400_000  # 2025-10-27 17:00 UTC, the hour of the recorded fills
ENTRIES = [("frame", START + n, f"payload {n}".encode() * (n % 4)) for n in range(6)]


def no_time() -> float:
    return 0.0


def write(folder: Path, entries=ENTRIES, partition: str = "p0") -> None:
    with JournalWriter(folder, partition, no_time) as journal:
        for entry in entries:
            journal.append(*entry)


def records(entries=ENTRIES) -> list[Record]:
    return [Record(n, kind, at, payload) for n, (kind, at, payload) in enumerate(entries)]


def read(folder: Path, from_seq: int = 0) -> list[Record]:
    return list(JournalReader(folder, "p0").read(from_seq))


entries_strategy = st.lists(
    st.tuples(st.sampled_from(["frame", "reply", "timer"]), st.integers(0, 5 * HOUR), st.binary(max_size=50)),
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(entries_strategy, st.integers(0, 20))
def test_records_are_read_back_in_order_from_any_sequence_number(tmp_path_factory, entries, from_seq):
    folder = tmp_path_factory.mktemp("journal")
    with JournalWriter(folder, "p0", no_time) as journal:
        half = len(entries) // 2
        journal.append_batch(entries[:half])
        for entry in entries[half:]:
            journal.append(*entry)
    assert read(folder, from_seq) == records(entries)[from_seq:]


def test_truncation_at_every_byte_gives_a_prefix_and_writing_goes_on_after_it(tmp_path):
    write(tmp_path / "whole")
    (whole,) = journal_files(tmp_path / "whole" / "p0")
    data = whole.path.read_bytes()
    expected = records()
    for cut in range(len(data)):
        folder = tmp_path / str(cut)
        (folder / "p0").mkdir(parents=True)
        (folder / "p0" / whole.path.name).write_bytes(data[:cut])
        reader = JournalReader(folder, "p0")
        found = list(reader.read())
        assert found == expected[: len(found)]
        with JournalWriter(folder, "p0", no_time) as journal:
            assert journal.next_seq == len(found)
            assert (journal.cut_bytes > 0) == (reader.dropped == 1 and cut > 0)
            journal.append("frame", START, b"after")
        assert read(folder) == [*found, Record(len(found), "frame", START, b"after")]


def test_an_incomplete_last_record_is_dropped_and_counted(tmp_path):
    write(tmp_path)
    (file,) = journal_files(tmp_path / "p0")
    os.truncate(file.path, file.path.stat().st_size - 3)
    reader = JournalReader(tmp_path, "p0")
    assert list(reader.read()) == records()[:-1]
    assert reader.dropped == 1


def test_a_flipped_bit_anywhere_in_the_last_record_drops_it_alone_and_later_records_are_whole(tmp_path):
    write(tmp_path / "whole")
    (whole,) = journal_files(tmp_path / "whole" / "p0")
    data, expected = whole.path.read_bytes(), records()
    begin = len(data) - len(encode_record(len(ENTRIES) - 1, *ENTRIES[-1]))
    for position in range(begin, len(data)):
        for bit in (0, 7):
            folder = tmp_path / f"{position}-{bit}"
            (folder / "p0").mkdir(parents=True)
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            (folder / "p0" / whole.path.name).write_bytes(damaged)
            reader = JournalReader(folder, "p0")
            assert list(reader.read()) == expected[:-1]
            assert reader.dropped == 1
            with JournalWriter(folder, "p0", no_time) as journal:
                assert journal.cut_bytes == len(data) - begin
                journal.append_batch([("frame", START, b"after"), ("frame", START, b"and on")])
            assert [r.payload for r in read(folder)[-2:]] == [b"after", b"and on"]
            assert [r.seq for r in read(folder)] == list(range(len(expected) + 1))


@pytest.mark.parametrize("position", [10, 60, 100])
def test_whole_records_behind_a_damaged_one_are_never_cut_off(tmp_path, position):
    write(tmp_path)
    (file,) = journal_files(tmp_path / "p0")
    data = bytearray(file.path.read_bytes())
    data[position] ^= 0x40
    file.path.write_bytes(data)
    with JournalWriter(tmp_path, "p0", no_time) as journal:
        assert (journal.is_damaged, journal.cut_bytes) == (True, 0)
        assert journal.append("frame", START, b"after") == len(ENTRIES)
    assert file.path.read_bytes() == bytes(data)
    with pytest.raises(JournalDamaged, match=f"allowed is [0-{len(ENTRIES)}]"):
        read(tmp_path)
    assert [r.payload for r in read(tmp_path, len(ENTRIES))] == [b"after"]


def test_numbers_whose_records_a_power_cut_took_are_not_given_again(tmp_path):
    with JournalWriter(tmp_path, "p0", no_time) as journal:
        journal.append("frame", START, b"kept")
        journal.go_on_after(0)
        assert journal.append("frame", START, b"follows") == 1
        journal.go_on_after(9)
        assert journal.append("frame", START, b"behind the hole") == 10
    assert [r.payload for r in read(tmp_path, 10)] == [b"behind the hole"]
    with pytest.raises(JournalDamaged, match="begins at 10; allowed is 2"):
        read(tmp_path)
    with JournalWriter(tmp_path, "p0", no_time) as journal:
        assert journal.next_seq == 11


def test_a_flipped_byte_in_the_middle_is_damage_not_a_shorter_history(tmp_path):
    write(tmp_path, [*ENTRIES, ("frame", START + HOUR, b"next hour")])
    first, _ = journal_files(tmp_path / "p0")
    data = bytearray(first.path.read_bytes())
    data[len(data) // 2] ^= 1
    first.path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="begins at 6"):
        read(tmp_path)


def test_files_change_with_the_hour_and_a_step_back_stays_in_the_file_at_hand(tmp_path):
    entries = [("frame", START + offset, b"x") for offset in (0, HOUR, 5, HOUR + 1, 3 * HOUR)]
    write(tmp_path, entries)
    names = [f.path.name for f in journal_files(tmp_path / "p0")]
    assert names == [file_name(n, hour_of(START) + h * HOUR) for n, h in ((0, 0), (1, 1), (4, 3))]
    assert names[0] == "00000000000000000000-20251027T17.journal"
    assert read(tmp_path) == records(entries)


def test_a_full_file_is_left_for_another_of_the_same_hour(tmp_path):
    entries = [("frame", START - n, bytes([n]) * 100) for n in range(6)]
    with JournalWriter(tmp_path, "p0", no_time, WriterParams(file_bytes=250)) as journal:
        for entry in entries:
            journal.append(*entry)
    names = [f.path.name for f in journal_files(tmp_path / "p0")]
    assert names == [file_name(n, hour_of(START)) for n in (0, 2, 4)]
    assert read(tmp_path) == records(entries)
    assert read(tmp_path, 3) == records(entries)[3:]
    with JournalWriter(tmp_path, "p0", no_time, WriterParams(file_bytes=250)) as journal:
        assert journal.append("frame", START, b"on") == 6
    assert len(journal_files(tmp_path / "p0")) == 4
    assert tidy(tmp_path, START, KeeperParams()).packed == 3
    assert read(tmp_path) == records([*entries, ("frame", START, b"on")])


def test_closed_files_are_packed_and_read_the_same(tmp_path):
    entries = [("frame", START + n * HOUR, b"x" * 1000) for n in range(3)]
    write(tmp_path, entries)
    report = tidy(tmp_path, START + 3 * HOUR, KeeperParams())
    assert (report.packed, report.removed) == (2, 0)
    assert [f.packed for f in journal_files(tmp_path / "p0")] == [True, True, False]
    assert read(tmp_path) == records(entries)
    assert not list(tmp_path.glob("*/*.tmp"))


def test_a_crash_while_packing_leaves_the_plain_file_in_force(tmp_path):
    entries = [("frame", START + n * HOUR, b"x") for n in range(2)]
    write(tmp_path, entries)
    first = journal_files(tmp_path / "p0")[0].path
    first.with_name(first.name + ".gz.tmp").write_bytes(b"half of it")
    assert read(tmp_path) == records(entries)
    tidy(tmp_path, START, KeeperParams())
    first.write_bytes(b"the plain twin of a packed file")
    assert read(tmp_path) == records(entries)
    tidy(tmp_path, START, KeeperParams())
    assert not first.exists()


def test_writing_goes_on_after_everything_was_packed(tmp_path):
    write(tmp_path, [("frame", START + n * HOUR, b"x") for n in range(2)])
    (folder,) = {f.path.parent for f in journal_files(tmp_path / "p0")}
    journal_files(folder)[-1].path.unlink()
    tidy(tmp_path, START, KeeperParams())
    with JournalWriter(tmp_path, "p0", no_time) as journal:
        assert journal.append("frame", START, b"y") == 1


def test_retention_removes_by_age_and_a_read_of_what_is_gone_says_so(tmp_path):
    write(tmp_path, [("frame", START + n * HOUR, b"x") for n in range(4)])
    report = tidy(tmp_path, START + 4 * HOUR, KeeperParams(retention_hours=2))
    assert report.removed == 2
    assert [r.seq for r in read(tmp_path)] == [2, 3]
    assert JournalReader(tmp_path, "p0").first_seq() == 2
    with pytest.raises(JournalDamaged, match="from_seq is 1"):
        read(tmp_path, 1)


def test_the_disk_ceiling_removes_the_oldest_and_never_the_file_at_hand(tmp_path):
    write(tmp_path, [("frame", START + n * HOUR, os.urandom(3000)) for n in range(4)])
    report = tidy(tmp_path, START, KeeperParams(max_bytes=7000))
    assert report.removed == 2
    assert report.bytes_kept <= 7000
    report = tidy(tmp_path, START, KeeperParams(max_bytes=10))
    assert report.over_ceiling
    assert [r.seq for r in read(tmp_path)] == [3]


def test_a_second_writer_of_a_partition_is_refused(tmp_path):
    with (
        JournalWriter(tmp_path, "p0", no_time),
        pytest.raises(JournalBusy, match="p0"),
    ):
        JournalWriter(tmp_path, "p0", no_time)
    write(tmp_path)
    assert partitions(tmp_path) == ["p0"]


def test_a_full_disk_writes_nothing_of_the_record_and_leaves_the_journal_whole(tmp_path, monkeypatch):
    real = os.write

    def full(descriptor, data):
        real(descriptor, bytes(data)[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    def lose(journal):
        with monkeypatch.context() as patch:
            patch.setattr(writer_module.os, "write", full)
            with pytest.raises(JournalWriteError, match="No space left"):
                journal.append("frame", START, b"lost")

    with JournalWriter(tmp_path, "p0", no_time) as journal:
        lose(journal)
        journal.append("frame", START, b"before")
        lose(journal)
        assert journal.append("frame", START, b"after") == 1
    assert [r.payload for r in read(tmp_path)] == [b"before", b"after"]


def test_fsync_follows_its_policy(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(writer_module.os, "fsync", synced.append)
    clock = [0.0]
    for policy, expected in ((Fsync.NEVER, 0), (Fsync.INTERVAL, 2), (Fsync.EACH, 6)):
        synced.clear()
        journal = JournalWriter(tmp_path, policy.value, lambda: clock[0], WriterParams(policy, 1.0))
        for _ in range(6):
            clock[0] += 0.4
            journal.append("frame", START, b"x")
        assert len(synced) == expected, policy
        journal.close()


@pytest.mark.parametrize("partition", ["", "../up", "A", "a/b", "x" * 41])
def test_a_partition_name_that_is_not_a_safe_file_name_is_refused(tmp_path, partition):
    with pytest.raises(ValueError, match="partition is"):
        JournalWriter(tmp_path, partition, no_time)


@pytest.mark.parametrize("kind", ["", "k" * 256])
def test_a_kind_that_does_not_fit_is_refused(tmp_path, kind):
    with JournalWriter(tmp_path, "p0", no_time) as journal, pytest.raises(ValueError, match="kind is"):
        journal.append(kind, START, b"")


def test_fifty_thousand_records_a_second_are_written_in_batches(tmp_path):
    payload = b"x" * 300
    batch = [("frame", START, payload)] * 500
    with JournalWriter(tmp_path, "p0", time.monotonic) as journal:
        begin = time.process_time()
        for _ in range(20):
            journal.append_batch(batch)
        spent = time.process_time() - begin
    assert 10_000 / spent > 50_000
