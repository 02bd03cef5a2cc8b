"""One running demo for all end-to-end tests; it is ended, and proven ended, when the last one is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import Demo, free_base, until

LEARN_TAG = "materialise_all"


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """A demo that is up, and has been told to learn."""
    # not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
    home = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
    home.chmod(0o711)
    found = Demo(home, free_base())
    try:
        found.start()
        until("Dagster starts the graph", lambda: _launched(found), 60)
        yield found
    finally:
        found.destroy()
        shutil.rmtree(home)


def _launched(demo: Demo) -> bool:
    """The webserver answers before it knows the jobs of the code server."""
    return demo.api("POST", "/materialise-all", token=demo.token).status_code == 202


@pytest.fixture(scope="session")
def learnt(demo: Demo) -> Demo:
    """The same demo with a pool, and a stream that decides with it."""
    until("the graph is materialised", lambda: _ended(demo), 300, every_s=1)
    until("everything is ready", lambda: demo.api("GET", "/readyz").status_code == 200, 60)
    return demo


def _ended(demo: Demo) -> bool:
    query = """query Runs($f: RunsFilter!) { runsOrError(filter: $f, limit: 1) { ... on Runs {
        results { status stepStats { stepKey status } } } } }"""
    run = demo.graphql(query, f={"pipelineName": LEARN_TAG})["runsOrError"]["results"][0]
    failed = [step["stepKey"] for step in run["stepStats"] if step["status"] == "FAILURE"]
    assert run["status"] not in ("FAILURE", "CANCELED"), f"learning failed: {failed or 'no step'}"
    return run["status"] == "SUCCESS"


@pytest.fixture(scope="session")
def signalled(learnt: Demo) -> Demo:
    """The same demo after its first signal was executed on paper. News come by themselves; these help along."""
    coins = ("BTC", "ETH")
    for coin, direction in zip(coins, ("long", "short"), strict=True):
        learnt.emulator("/emulator/event", {"coin": coin, "kind": "info", "direction": direction, "sigmas": 4})
    until(
        "a signal is executed",
        lambda: learnt.number("SELECT count(*) FROM execution_logs WHERE leg = 'entry' AND fill_price IS NOT NULL"),
        240,
    )
    return learnt
