"""One budget for all processes of an address: never more than the limit, exits first, a 429 heard by all, no trace of
the killed."""

import asyncio
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from budget_process import SMALL
from hl_strategies import quick
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid import shared_window
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams, Place, Priority, SyncLimiter, Ticket
from sigmapilot_core.adapters.hyperliquid.pacing import ManualPace
from sigmapilot_core.adapters.hyperliquid.shared_window import SharedWindow, budget_params, budget_path

PLAIN = LimiterParams(limit=100, margin=20, shares=dict.fromkeys(list(Priority)[1:], 1.0))
SCRIPT = Path(__file__).with_name("budget_process.py")
SPAN_S = SMALL.window_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "venue.weight"


def window(path: Path, params: LimiterParams = PLAIN, seed: int = 1) -> SharedWindow:
    return SharedWindow(path, params, random.Random(seed))


class Asker:
    """One process of the machine, in this one; its clock is moved by hand."""

    def __init__(self, path: Path, seed: int) -> None:
        self.window = window(path, seed=seed)
        self.place = Place()

    def ask(self, weight: int, priority: Priority, now: float) -> bool:
        return isinstance(self.window.take(weight, priority, now, self.place), Ticket)


def test_what_one_process_spends_is_spent_for_the_others(path: Path) -> None:
    one, two = Asker(path, 1), Asker(path, 2)
    assert one.ask(60, Priority.PRIMING, 1000.0)
    assert not two.ask(30, Priority.PRIMING, 1001.0)
    assert two.ask(40, Priority.EXIT, 1001.0)
    assert one.window.used(1002.0) == two.window.used(1002.0) == 100
    assert not two.ask(30, Priority.PRIMING, 1059.9)
    assert two.ask(30, Priority.PRIMING, 1060.5)


@quick
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40), st.sampled_from(Priority), st.booleans()), max_size=50))
def test_no_window_of_sixty_seconds_holds_more_than_the_limit_whoever_asks(tmp_path_factory, asks) -> None:
    path, now = tmp_path_factory.mktemp("budget") / "w", 5000.0
    askers = Asker(path, 1), Asker(path, 2)
    charged: list[tuple[float, int]] = []
    for gap, weight, priority, is_first in asks:
        now += gap
        asker = askers[is_first]
        while not isinstance(taken := asker.window.take(weight, priority, now, asker.place), Ticket):
            now += taken
        charged.append((now, weight))
    for at, _ in charged:
        assert sum(w for t, w in charged if at - 60 < t <= at) <= PLAIN.limit


def test_a_correction_counts_for_every_process(path: Path) -> None:
    one, two = window(path), window(path, seed=2)
    ticket = one.take(70, Priority.BACKFILL, 1000.0, Place())
    assert isinstance(ticket, Ticket)
    one.correct(ticket, 25, 1010.0)
    assert two.used(1010.0) == 25
    one.correct(ticket, 95, 1020.0)
    assert two.used(1020.0) == 95
    one.correct(ticket, 1, 1061.0)  # the window has moved on: there is nothing left to correct
    assert two.used(1061.0) == 0


def test_a_429_pauses_the_other_processes_and_no_exit(path: Path) -> None:
    one, two = Asker(path, 1), Asker(path, 2)
    pause = one.window.throttle(1000.0, retry_after_s=40.0)
    assert pause == 40.0
    assert not two.ask(1, Priority.OWN_ORDER, 1039.0)
    assert two.window.paused_s(1030.0) == pytest.approx(10.0)
    assert two.ask(1, Priority.EXIT, 1039.0)
    assert two.ask(1, Priority.OWN_ORDER, 1040.1)


def test_a_waiting_request_goes_before_a_lesser_one_of_another_process(path: Path) -> None:
    urgent, lesser, first = Asker(path, 1), Asker(path, 2), Asker(path, 3)
    assert first.ask(70, Priority.BACKFILL, 1000.0)
    assert not urgent.ask(40, Priority.OWN_STATE, 1001.0)
    assert not lesser.ask(5, Priority.BACKFILL, 1002.0)  # it would fit, and an urgent one waits
    assert urgent.ask(40, Priority.OWN_STATE, 1060.5)
    assert lesser.ask(5, Priority.BACKFILL, 1060.6)


def test_among_equals_the_one_that_has_waited_longest_goes_first(path: Path) -> None:
    old, young, first = Asker(path, 1), Asker(path, 2), Asker(path, 3)
    assert first.ask(80, Priority.PRIMING, 1000.0)
    assert not old.ask(10, Priority.PRIMING, 1001.0)
    for at in (1058.5, 1059.5):
        assert not young.ask(10, Priority.PRIMING, at)
        assert not old.ask(10, Priority.PRIMING, at)
    assert not young.ask(10, Priority.PRIMING, 1060.4)
    assert old.ask(10, Priority.PRIMING, 1060.5)
    assert young.ask(10, Priority.PRIMING, 1060.6)


def test_the_place_of_a_process_that_is_gone_is_free_after_the_lease(path: Path) -> None:
    gone, other, first = Asker(path, 1), Asker(path, 2), Asker(path, 3)
    assert first.ask(80, Priority.PRIMING, 1000.0)
    assert not gone.ask(60, Priority.OWN_ORDER, 1059.0)
    assert not other.ask(5, Priority.BACKFILL, 1060.5)
    assert other.ask(5, Priority.BACKFILL, 1059.0 + shared_window.LEASE_S)


def test_more_waiting_requests_than_places_lose_none(path: Path) -> None:
    askers = [Asker(path, n) for n in range(70)]
    assert askers[0].ask(80, Priority.PRIMING, 1000.0)
    assert not any(asker.ask(1, Priority.PRIMING, 1001.0 + n / 100) for n, asker in enumerate(askers[1:]))
    waiting, now = askers[1:], 1062.0
    while waiting:
        now += 0.01
        waiting = [asker for asker in waiting if not asker.ask(1, Priority.PRIMING, now)]
        assert now < 1100


def test_a_file_that_is_locked_by_a_stopped_process_never_holds_an_exit(path: Path, monkeypatch) -> None:
    import fcntl

    holder = window(path)
    asker = Asker(path, 2)
    fcntl.flock(holder._file, fcntl.LOCK_EX)
    assert asker.window.take(5, Priority.OWN_ORDER, 1000.0, Place()) == shared_window.BUSY_S
    tries = [asker.ask(5, Priority.EXIT, 1000.0) for _ in range(21)]
    assert tries == [False] * 20 + [True]
    fcntl.flock(holder._file, fcntl.LOCK_UN)
    assert asker.ask(5, Priority.OWN_ORDER, 1000.0)


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(10_000), b"\xff" * 8_000])
def test_a_file_of_another_form_is_begun_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    asker = Asker(path, 1)
    assert asker.ask(70, Priority.BACKFILL, 1000.0)
    assert asker.window.used(1000.0) == 70
    path.write_bytes(b"\xff" * path.stat().st_size)  # damaged while in use
    assert asker.ask(70, Priority.BACKFILL, 1001.0)


def test_a_file_of_before_a_reboot_is_begun_anew(path: Path) -> None:
    before = Asker(path, 1)
    assert before.ask(80, Priority.BACKFILL, 900_000.0)
    before.window.throttle(900_000.0, retry_after_s=9_000)
    after = Asker(path, 2)
    assert after.ask(80, Priority.BACKFILL, 20.0)
    assert after.window.paused_s(20.0) == 0


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    window(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_venue_has_its_own_budget_and_an_eighth_is_left_to_exits(tmp_path: Path) -> None:
    urls = ("https://api.hyperliquid.xyz", "https://api.hyperliquid-testnet.xyz", "http://127.0.0.1:4110")
    paths = [budget_path(tmp_path, url) for url in urls]
    assert len(set(paths)) == 3
    assert all(path.parent == tmp_path for path in paths)
    assert budget_params(1200).ceiling(Priority.OWN_ORDER) == 1050
    assert 2 * 10_000 / budget_params(1200).ceiling(Priority.PRIMING) == pytest.approx(20.06, abs=0.01)  # minutes


async def test_a_limiter_over_a_shared_window_gives_its_place_up_to_an_exit(path: Path) -> None:
    pace = ManualPace()
    budget = Limiter(PLAIN, pace, random.Random(1), window(path))
    await budget.acquire(80, Priority.BACKFILL)
    waiting = asyncio.create_task(budget.acquire(10, Priority.PRIMING))
    await pace.advance(1)
    assert (await asyncio.wait_for(budget.acquire(20, Priority.EXIT), 1)).weight == 20
    await pace.advance(61)
    await asyncio.wait_for(waiting, 1)
    assert budget.status().used == 10


def test_threads_of_one_process_share_it(path: Path) -> None:
    clock = [1000.0]

    def nap(seconds: float) -> None:
        clock[0] += seconds

    budget = SyncLimiter(PLAIN, lambda: clock[0], nap, random.Random(1), window(path))
    for _ in range(5):
        budget.acquire(20, Priority.BACKFILL)
    assert clock[0] == pytest.approx(1060.25, abs=1.0)


# real processes


class Drawing:
    """A process that draws on the budget, and what it said."""

    def __init__(self, path: Path, priority: str, weight: int, seconds: float, *more: str) -> None:
        arguments = [sys.executable, str(SCRIPT), str(path), priority, str(weight), str(seconds), *more]
        root = str(Path(__file__).parents[3])
        environment = {**os.environ, "PYTHONPATH": root}
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "begun\n"

    def lines(self) -> list[list[str]]:
        said, _ = self.process.communicate(timeout=60)
        return [line.split() for line in said.splitlines()]

    def granted(self) -> list[tuple[float, float, int]]:
        """Asked, granted, weight."""
        return [(float(a), float(b), int(c)) for a, b, c in self.lines() if a != "throttled"]


def most_in_a_window(granted: list[tuple[float, float, int]]) -> int:
    """The most weight that any window held, by the instants before each grant: each was charged between `asked` and
    `granted`, so what certainly fell into one window is counted."""
    rows = sorted(granted, key=lambda row: row[1])
    sums = (sum(w for asked, at, w in rows if begin <= asked and at < begin + SPAN_S) for begin, _, _ in rows)
    return max(sums, default=0)


@pytest.mark.slow
def test_three_processes_never_exceed_the_limit_together_and_use_it(path: Path) -> None:
    drawing = [Drawing(path, "PRIMING", weight, 1.5) for weight in (2, 3, 7)]
    rows = [process.granted() for process in drawing]
    assert all(rows)
    together = sorted(row for part in rows for row in part)
    assert most_in_a_window(together) <= SMALL.ceiling(Priority.PRIMING)
    assert sum(w for _, _, w in together) > SMALL.ceiling(Priority.PRIMING)  # more than one window's worth


@pytest.mark.slow
def test_exits_of_one_process_never_wait_for_the_backfill_of_another(path: Path) -> None:
    backfill = Drawing(path, "BACKFILL", 5, 3.0)
    exits = Drawing(path, "EXIT", 1, 0.0)
    assert exits.lines() == []
    budget = window(path, SMALL)
    granted = 0
    while backfill.process.poll() is None and granted < 40:
        place = Place()
        taken = budget.take(1, Priority.EXIT, time.monotonic(), place)
        while taken == shared_window.BUSY_S:  # the file is in use for microseconds
            taken = budget.take(1, Priority.EXIT, time.monotonic(), place)
        assert isinstance(taken, Ticket)
        granted += 1
        time.sleep(0.01)
    backfill.process.kill()
    backfill.lines()
    assert granted > 10


@pytest.mark.slow
def test_a_429_in_one_process_stops_the_requests_of_another(path: Path) -> None:
    steady = Drawing(path, "OWN_ORDER", 1, 60.0)
    hit = Drawing(path, "PRIMING", 1, 0.4, "throttle")
    begun, ends = next((float(line[1]), float(line[2])) for line in hit.lines() if line[0] == "throttled")
    assert steady.process.stdout is not None
    for line in steady.process.stdout:  # until it goes on after the pause, which fails by the test's own deadline
        asked, granted, _ = map(float, line.split())
        assert not begun < asked <= granted < ends
        if granted > ends:
            break
    steady.process.kill()
    steady.process.communicate(timeout=20)


@pytest.mark.slow
def test_a_killed_process_leaves_the_budget_usable_and_what_it_spent_counted(path: Path) -> None:
    for _ in range(3):
        victim = Drawing(path, "OWN_STATE", 1, 30.0)
        while window(path, SMALL).used(time.monotonic()) == 0:
            time.sleep(0.001)
        os.kill(victim.process.pid, signal.SIGKILL)
        victim.process.communicate(timeout=20)
    assert Drawing(path, "OWN_STATE", 1, 0.3).granted()


def test_the_layout_of_the_file_is_what_other_versions_expect() -> None:
    assert struct.calcsize("<8sddq") <= 64
    assert shared_window._SLOTS > shared_window._SLOTS_A_WINDOW + 1
