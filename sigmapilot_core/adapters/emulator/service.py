"""One running emulator: its parts put together, from the first block to the last task."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sigmapilot_core.adapters.emulator.actions import SignedActions
from sigmapilot_core.adapters.emulator.catalogue import ALL_INFO, channels_of
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.connection_faults import perform
from sigmapilot_core.adapters.emulator.disturb import FrameFaults, Losses
from sigmapilot_core.adapters.emulator.disturbances import Disturbance, DisturbancePlan
from sigmapilot_core.adapters.emulator.driver import Driver
from sigmapilot_core.adapters.emulator.faults import CATALOGUE, FaultOrder, FaultRegistry, Place
from sigmapilot_core.adapters.emulator.hub import Hub
from sigmapilot_core.adapters.emulator.info_orders import right_handlers
from sigmapilot_core.adapters.emulator.leaderboard import LeaderboardFile
from sigmapilot_core.adapters.emulator.limits import AddressLimiter, Seconds
from sigmapilot_core.adapters.emulator.protocol import Feed
from sigmapilot_core.adapters.emulator.publisher import Publisher
from sigmapilot_core.adapters.emulator.recording_source import RecordingSource
from sigmapilot_core.adapters.emulator.requests import Requests
from sigmapilot_core.adapters.emulator.signers import AgentBook
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.ports import Clock, VenueSource


class NotPossible(Exception):
    """A control the emulator cannot obey in its present state or mode; the message says why."""


class LivingWorld(Protocol):
    """What a simulated world can be told, beyond being asked (spec simulation, live profiles)."""

    def mark_ready(self, at_ms: int) -> None: ...
    def inject_event(self, kind: str, coin: str, direction: int, sigmas: float, at_ms: int) -> None: ...
    def led_coin(self, after_ms: int) -> str | None: ...


@dataclass(frozen=True, slots=True)
class WorldControl:
    """A world and what to do after each input, so that the same world can be made again."""

    world: LivingWorld
    remember: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Running:
    """The parts that exist once there is a source."""

    venue: Venue
    driver: Driver
    feed: Feed
    requests: Requests
    leaderboard: LeaderboardFile
    recording: RecordingSource | None
    losses: Losses

    @property
    def is_recording(self) -> bool:
        """True if the feed is the clock."""
        return self.recording is not None


class Emulator:
    """State and parts. `open` gives it a source; until then it only tells that it is not ready."""

    def __init__(self, config: EmulatorConfig, clock: Clock, seconds: Seconds = time.monotonic) -> None:
        self.config = config
        self.phase = "building"
        self.about: dict[str, Any] = {}
        self.stream_ready_ms: int | None = None
        self.failed = asyncio.Event()
        self.fault: BaseException | None = None
        self.running: Running | None = None
        self.faults = FaultRegistry(lambda: self.now_ms or 0, random.Random(config.seed))
        self.hub = Hub(config.limits, seconds)
        self._clock = clock
        self._seconds = seconds
        self._plan = DisturbancePlan(())
        self._looked_ms = 0
        self._task: asyncio.Task[None] | None = None
        self._world: WorldControl | None = None

    @property
    def now_ms(self) -> int | None:
        """Time of the last block; None before there is a source."""
        return None if self.running is None else self.running.venue.now_ms

    def open(
        self,
        source: VenueSource,
        world: WorldControl | None = None,
        disturbances: tuple[Disturbance, ...] = (),
        **about: Any,
    ) -> None:
        """Put a source behind the emulator and let time pass; `about` is told by the status route."""
        self.running = running = self._assembled(source)
        self._world = world
        self._plan = DisturbancePlan(disturbances)
        self.about = about
        self.phase = "ready"
        if running.recording is not None:
            self._start(running.driver.run_recording(running.recording.blocks))
        elif not self.config.stepped:
            self._start(running.driver.run_live(self._clock))

    def _start(self, passing: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(passing)
        self._task.add_done_callback(self._stopped)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Time has come to an end: by order, with the recording, or because of a defect, which must not go unseen."""
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self.phase = "failed"
            self.fault = fault
            self.failed.set()

    def _assembled(self, source: VenueSource) -> Running:
        config = self.config
        recording = source if isinstance(source, RecordingSource) else None
        venue = Venue(source, self.faults, config, () if recording is None else recording.other_coins)
        for user, usd in config.deposits.items():
            venue.desk.move(user, usd, "deposit")
        frame_faults = FrameFaults(self.faults)
        publisher = Publisher(self.hub, channels_of(venue, self.hub, config.stream), frame_faults)
        limiter, agents = AddressLimiter(config.limits, self._seconds), AgentBook()
        actions = SignedActions(venue.desk, agents, limiter, self.faults, self._clock)
        handlers = ALL_INFO | right_handlers(limiter, agents, self._clock)
        requests = Requests(venue, actions, handlers, frame_faults, config.limits, self._seconds)
        driver = Driver(venue, publisher, config, self._before_block)
        feed = Feed(
            venue, self.hub, publisher, self.faults, config, self._seconds, requests.post, waits=recording is not None
        )
        return Running(
            venue, driver, feed, requests, LeaderboardFile(source, self.faults), recording, frame_faults.losses
        )

    async def close(self) -> None:
        """Stop time and end every connection; nothing is left running."""
        for connection in tuple(self.hub.connections):
            connection.close(1001, "Going away")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def parts(self) -> Running:
        """The running parts; `NotPossible` while there is no source."""
        if self.running is None:
            raise NotPossible("The emulator has no source yet; allowed once /emulator/status says ready.")
        return self.running

    def mark_ready(self) -> int:
        """The stream listens: a recording begins to play, a demo world begins its events. Answers the instant."""
        running = self.parts()
        if self.stream_ready_ms is None:
            self.stream_ready_ms = running.venue.now_ms
            running.driver.started.set()
            if self._world is not None:
                self._world.world.mark_ready(running.venue.now_ms)
                self._world.remember()
        return self.stream_ready_ms

    def start_event(self, kind: str, coin: str, direction: int, sigmas: float) -> int:
        """Start an information or herd event by hand. Errors: ValueError for values out of range; `NotPossible`."""
        running = self.parts()
        if self._world is None:
            raise NotPossible("The source is not a simulated world; allowed is /emulator/event with one only.")
        self._world.world.inject_event(kind, coin, direction, sigmas, running.venue.now_ms)
        self._world.remember()
        return running.venue.now_ms

    async def order_fault(self, order: FaultOrder) -> None:
        """Switch a fault on, or let it happen if it is one of connections."""
        if CATALOGUE[order.name].place is Place.CONNECTION:
            await perform(order, self.hub, self.parts().feed.publisher)
        else:
            self.faults.switch_on(order)

    def deposit(self, user: str, usd: Decimal) -> None:
        """Give an account of real orders money; opens it."""
        self.parts().venue.desk.move(user, usd, "deposit")

    async def advance(self, to_ms: int) -> int:
        """Move a stepped clock; `NotPossible` in any other mode."""
        if not self.config.stepped:
            raise NotPossible("The clock is not stepped; allowed is /emulator/advance with a stepped clock only.")
        running = self.parts()
        if to_ms < running.venue.now_ms:
            raise NotPossible(f"to_ms is {to_ms}; allowed is {running.venue.now_ms} or later.")
        await running.driver.advance(to_ms)
        return running.venue.now_ms

    async def _before_block(self, time_ms: int) -> None:
        """Begin the declared disturbances whose time has come."""
        if self.stream_ready_ms is None:
            return
        world, after_ms = self._world, self._looked_ms
        self._looked_ms = self.parts().venue.now_ms
        led = None if world is None else world.world.led_coin(after_ms)
        for order in self._plan.due(self.stream_ready_ms, time_ms, led):
            await self.order_fault(order)

    def status(self) -> dict[str, Any]:
        """Readiness, clock, what is on; the body of /emulator/status."""
        running = self.running
        return {
            "ready": running is not None and self.fault is None,
            "phase": "ended" if running is not None and running.driver.ended else self.phase,
            "now_ms": self.now_ms,
            "virtual_clock": running is not None and running.is_recording,
            "stepped_clock": self.config.stepped,
            "stream_ready_ms": self.stream_ready_ms,
            "speed": self.config.speed,
            "other_coins": [] if running is None else list(running.venue.other_coins),
            **self.about,
            **self.hub.counts(),
            "faults": self.faults.listed(),
            "losses": {} if running is None else running.losses.counts(),
            "disturbances": self._plan.listed(),
        }
