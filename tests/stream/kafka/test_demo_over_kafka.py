"""`sigmapilot demo` with a broker: workers decide, the signal is filled on paper and shown, all ends in order."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running_demo import Demo, free_base, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1_200)]

PATIENCE_S = 600
END_S = 60.0


@pytest.fixture
def home() -> Iterator[Path]:
    """Not pytest's own folder: that is closed to the account that runs Postgres for root."""
    found = Path(tempfile.mkdtemp(prefix="kafka-demo-", dir="/tmp"))
    found.chmod(0o711)
    yield found
    shutil.rmtree(found)


def test_a_demo_over_kafka_reaches_a_signal_shows_it_and_ends_in_order(home: Path, broker_url: str) -> None:
    demo = Demo(home, free_base())
    demo.environment["SIGMAPILOT_BROKER_URL"] = broker_url
    demo.launch("demo", "--until-signal", "--timeout", str(PATIENCE_S))
    try:
        shown = until("a signal is on the API", lambda: has_ended(demo) or signals(demo), PATIENCE_S + 60, every_s=0.2)
        until("the demo says so", lambda: has_ended(demo) or "signal: " in demo.said.read_text(), END_S)
        said_at = time.monotonic()
        assert demo.process.wait(END_S) == 0, demo.said.read_text()
        assert time.monotonic() - said_at < END_S
    finally:
        demo.destroy()
    said = demo.said.read_text()
    assert "paper fill at" in said, said
    assert isinstance(shown, list), said
    assert shown[0]["eff_k"] >= 2
    for name in ("worker-1", "worker-2"):
        assert f"{name} ready" in said
        assert f"{name} stopped" in said
        assert "partition taken" in demo.log(name)
    assert demo.leftovers() == []


def has_ended(demo: Demo) -> bool:
    assert demo.process is not None
    return demo.process.poll() is not None


def signals(demo: Demo) -> list[dict[str, object]]:
    """What the API shows; nothing while it does not answer yet."""
    try:
        answer = demo.api("GET", "/consensus/signals", port=4)
    except httpx.TransportError:
        return []
    return list(answer.json()["signals"]) if answer.status_code == 200 else []
