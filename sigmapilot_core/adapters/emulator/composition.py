"""Where an emulator process is put together: options, source, server, end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from sigmapilot_core.adapters.clock import SystemClock
from sigmapilot_core.adapters.emulator import disturbances
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.emulator.recording_source import APPROXIMATIONS, RecordingSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator, WorldControl
from sigmapilot_core.adapters.emulator.stamped import StampedSource
from sigmapilot_core.adapters.emulator.world_store import StoredWorld, WorldPlan, WorldStore
from sigmapilot_core.adapters.hyperliquid.leaderboard import read_csv_leaderboard
from sigmapilot_core.adapters.hyperliquid.recording import read_blocks
from sigmapilot_core.domain.simulation.settings import Profile
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import LeaderboardRow
from sigmapilot_core.ports import VenueSource

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """A recorded market and, where there is one, a recorded leaderboard."""

    market_dir: Path
    leaderboard_dir: Path | None


@dataclass(frozen=True, slots=True)
class Options:
    """Everything an emulator process is told."""

    config: EmulatorConfig
    plan: WorldPlan | RecordingPlan
    state_dir: Path
    faults: tuple[FaultOrder, ...] = ()
    declared_disturbances: bool = True
    later: tuple[disturbances.Disturbance, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A source, what the status route tells about it, and its controls if it is a world."""

    source: VenueSource
    about: dict[str, Any]
    world: WorldControl | None = None
    disturbances: tuple[disturbances.Disturbance, ...] = field(default=())


class SourceError(Exception):
    """A source that cannot be built; the message says why."""


def build_source(options: Options, now_ms: int) -> Built:
    """The world or the recording of the options. Takes seconds: meant for a thread. Errors: `SourceError`."""
    if isinstance(options.plan, RecordingPlan):
        return _recording(options.plan)
    return _world(options.plan, options, now_ms)


def _only_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise SourceError(f"The folder {folder} holds {len(files)} files {pattern}; allowed is exactly one.")
    return files[0]


def _recording(plan: RecordingPlan) -> Built:
    rows: tuple[LeaderboardRow, ...] = ()
    if plan.leaderboard_dir is not None:
        rows = read_csv_leaderboard(_only_file(plan.leaderboard_dir, "*.csv")).rows
    try:
        source = RecordingSource(read_blocks(_only_file(plan.market_dir, "*.json")), rows)
    except ValueError as fault:
        raise SourceError(f"The recording in {plan.market_dir} cannot be read: {fault}") from fault
    about = {"mode": "recording", "recording": plan.market_dir.name, "approximations": APPROXIMATIONS}
    return Built(source, about)


def _world(plan: WorldPlan, options: Options, now_ms: int) -> Built:
    block_ms = options.config.block_ms
    store = WorldStore(options.state_dir)
    stored = store.open(plan, now_ms // block_ms * block_ms)
    world = WorldSource(World(stored.settings, stored.inputs))
    source = StampedSource(world, block_ms)
    source.advance(max(now_ms // block_ms * block_ms, source.now_ms))
    settings = stored.settings
    about = {
        "mode": "world",
        "seed": settings.seed,
        "epoch_ms": settings.epoch_ms,
        "traders": settings.traders,
        "history_days": settings.history_days,
        "profile": settings.profile.value,
    }
    is_demo = settings.profile is Profile.DEMO and options.declared_disturbances
    control = WorldControl(world, lambda: store.save(StoredWorld(settings, world.inputs)))
    return Built(source, about, control, disturbances.DEMO if is_demo else ())


async def run(options: Options, on_url: Callable[[str], None] = lambda url: None) -> None:
    """Serve until SIGINT or SIGTERM. The port answers at once, `/healthz` says ready once the source is built."""
    clock = SystemClock()
    emulator = Emulator(options.config, clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(emulator) as url:
        on_url(url)
        _LOG.info("emulator listens", url=url)
        building = asyncio.create_task(asyncio.to_thread(build_source, options, clock.now_ms()))
        waiting = asyncio.create_task(_first_of(stop, emulator.failed))
        await asyncio.wait((building, waiting), return_when=asyncio.FIRST_COMPLETED)
        if building.done():
            built = building.result()
            emulator.open(built.source, built.world, (*built.disturbances, *options.later), **built.about)
            for order in options.faults:
                await emulator.order_fault(order)
            _LOG.info("emulator ready", **{k: v for k, v in built.about.items() if k != "approximations"})
            await waiting
        waiting.cancel()
        _LOG.info("emulator stops", is_built=building.done())
    if emulator.fault is not None:
        raise emulator.fault
    if not building.done():
        # a thread cannot be interrupted, and leaving would wait for it; it holds nothing that must be kept
        os._exit(0)


async def _first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
