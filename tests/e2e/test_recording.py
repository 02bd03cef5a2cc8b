"""The whole product on 81 recorded seconds of the real exchange, as a user starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import free_base

DATA = Path(__file__).parents[3] / "shared" / "data"
MARKET, LEADERBOARD = DATA / "hl-node-fills-20251027", DATA / "hl-leaderboard-20251202"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.timeout(560),
    pytest.mark.skipif(not MARKET.is_dir(), reason="the recorded data folder is not beside the project"),
]


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[int, str]]:
    """(exit code, console) of one replay; its folder is removed."""
    home = Path(tempfile.mkdtemp(prefix="sp-recording-", dir="/tmp"))
    home.chmod(0o711)
    command = [sys.executable, "-m", "sigmapilot_cli", "demo", "--recording", str(MARKET), "--leaderboard"]
    command += [str(LEADERBOARD), "--timeout", "480", "--port-base", str(free_base())]
    done = subprocess.run(
        command,
        env={**os.environ, "SIGMAPILOT_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
        check=False,
    )
    yield done.returncode, done.stdout
    shutil.rmtree(home)


def figure(console: str, what: str) -> int:
    """The number before a word of the summary."""
    found = re.search(rf"(\d+) {re.escape(what)}", console)
    assert found is not None, f"{what} is not in the summary:\n{console}"
    return int(found[1])


def test_it_ends_by_itself_with_code_0(run: tuple[int, str]) -> None:
    code, console = run
    assert code == 0, console
    assert "the recording has ended" in console


def test_every_recorded_trade_arrives_and_is_stored_once(run: tuple[int, str]) -> None:
    # counted in the recording: 7,282 fills pair up into 3,641 trades of 899 accounts
    assert figure(run[1], "trades,") == 3641
    assert figure(run[1], "users") == 899
    assert figure(run[1], "records set aside") == 0


def test_the_leaderboard_goes_through_the_filters_into_a_pool_of_those_who_occur(run: tuple[int, str]) -> None:
    # 27,650 rows, of which 10 have no readable account value
    assert figure(run[1], "rows") == 27640
    assert figure(run[1], "pool") == 43


def test_decisions_are_explained_and_know_what_they_do_not_know(run: tuple[int, str]) -> None:
    console = run[1]
    assert figure(console, "decisions") >= 1
    gates = re.search(r"inputs_fresh +(\d+) +(\d+) +(\d+)", console)
    assert gates is not None
    passed, _, unknown = map(int, gates.groups())
    assert passed == 0, "without a book no decision may rest on fresh inputs"
    assert unknown >= 1
    assert "newest decision" in console
