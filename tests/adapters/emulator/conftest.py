"""Emulators to test with."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from emulator_harness import START_MS, TRADER, Serve, script, serve_script, trade

from sigmapilot_core.adapters.clock import SystemClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.scripted_source import ScriptedSource
from sigmapilot_core.adapters.emulator.server import RunningEmulator, in_thread
from sigmapilot_core.adapters.emulator.service import Emulator


@pytest.fixture
def serve() -> Serve:
    """Serve a scripted venue with a stepped clock in the test's own loop."""
    return serve_script


@pytest.fixture
def threaded() -> Iterator[RunningEmulator]:
    """The same in a thread of its own, for blocking clients."""
    trades = [trade(i, i * 100) for i in range(1, 40)]
    with in_thread(
        lambda: Emulator(
            EmulatorConfig(stepped=True, deposits={TRADER.address.lower(): Decimal(10_000)}), SystemClock()
        ),
        lambda emulator: emulator.open(ScriptedSource(script(*trades), START_MS)),
    ) as running:
        yield running
