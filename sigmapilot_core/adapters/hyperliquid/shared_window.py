"""The window of one network address, shared by every process of the machine through one small file.

All access is under the kernel's lock of the file, which ends with its holder, so a killed process leaves nothing
behind but weight that expires in a minute and a place in the queue that expires in seconds. Instants are those of the
machine's monotonic clock, which all its processes share; after a reboot the file is begun anew.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import random
import re
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sigmapilot_core.adapters.hyperliquid.limiter import LEAST_S, LimiterParams, Place, Priority, Ticket

_MAGIC = b"SPweight"
_HEADER = struct.Struct("<8sddq")  # magic, latest instant seen, end of the pause, slots a window
_SLOT = struct.Struct("<qq")  # number of the slot, weight charged in it
_PLACE = struct.Struct("<ddqq")  # refreshed at, waiting since, priority, owner
_SLOTS = 256
_SLOTS_A_WINDOW = 240
_PLACES = 64
_SLOTS_AT = 64
_PLACES_AT = _SLOTS_AT + _SLOTS * _SLOT.size
_SIZE = _PLACES_AT + _PLACES * _PLACE.size

LEASE_S = 3.0
"""A place in the queue that was not renewed for so long belongs to a process that is gone."""

BUSY_S = 0.005
"""Wait for the lock of the file, which others hold for microseconds."""

_STEP_ASIDE_S = 0.05
_EXIT_TRIES = 20
_PATIENCE = 40
_BRIEF_S = 0.0005


def budget_params(weight_per_minute: int) -> LimiterParams:
    """The budget of an address: an eighth of it is left to exits."""
    return LimiterParams(limit=weight_per_minute, margin=weight_per_minute // 8)


def budget_path(folder: Path, venue_url: str, what: str = "weight") -> Path:
    """Where the budget of a venue's address lies: what is charged to one venue is no other's."""
    host = re.sub(r"[^a-z0-9.-]", "_", urlsplit(venue_url).netloc.lower())
    return folder / f"{host}.{what}"


class SharedWindow:
    """A sliding window like `WeightWindow`, over a file. A slot of 1/240 of the window expires as a whole, once its
    last instant has, so that no window ever holds more than the limit.

    Waiting requests of all processes form one queue: by priority, then by who has waited longest. An exit waits for
    the limit only, never for the queue, and goes unrecorded if the file stays locked for a tenth of a second.
    """

    def __init__(self, path: Path, params: LimiterParams, rng: random.Random) -> None:
        self.params = params
        self.granted = 0
        self.throttled = 0
        self._rng = rng
        self._width = params.window_s / _SLOTS_A_WINDOW
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with self._locked(patience=100 * _PATIENCE) as is_held:
            if not is_held:
                raise OSError(f"The request budget {path} is locked by another process; allowed is for microseconds.")
            if os.fstat(self._file).st_size != _SIZE:
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, _SIZE)
        self._map = mmap.mmap(self._file, _SIZE)

    def close(self) -> None:
        """Let go of the file; what was charged stays charged."""
        self._map.close()
        os.close(self._file)

    def used(self, now: float) -> int:
        """Weight charged by all processes in the window that ends now."""
        first = self._first_slot(now)
        return sum(weight for number, weight in self._slots() if number >= first)

    def paused_s(self, now: float) -> float:
        """Seconds the pause after a 429, of whichever process, still lasts."""
        return max(0.0, self._header()[2] - now)

    def take(self, weight: int, priority: Priority, now: float, place: Place) -> Ticket | float:
        """Charge the weight, or the seconds until it may be tried again. ValueError if it can never fit."""
        ceiling = self.params.ceiling(priority)
        if weight > ceiling:
            raise ValueError(f"weight is {weight}; allowed is at most {ceiling} for {priority.name}.")
        with self._locked(patience=1) as is_held:
            if not is_held:
                return self._busy(weight, priority, now, place)
            self._begin(now)
            wait = self._wait_s(weight, ceiling, priority, now, place)
            if wait > 0:
                self._queue(priority, now, place)
                return wait
            self._add(now, weight)
            self._forget(place)
        self.granted += 1
        return Ticket(now, weight)

    def leave(self, place: Place) -> None:
        """The request no longer waits."""
        if place.number is not None:
            with self._locked():
                self._forget(place)

    def correct(self, ticket: Ticket, actual: int, now: float) -> None:
        """Replace the estimate by the weight the reply turned out to cost."""
        difference, ticket.weight = actual - ticket.weight, actual
        if difference and ticket.at > now - self.params.window_s:
            with self._locked() as is_held:
                if is_held:
                    self._add(ticket.at, difference)

    def throttle(self, now: float, retry_after_s: float | None = None) -> float:
        """After a 429: pause all but exits, in every process; returns the pause."""
        self.throttled += 1
        pause = max(self._rng.uniform(*self.params.pause_s), retry_after_s or 0.0)
        with self._locked():
            self._begin(now)
            _, seen, until, slots = self._header()
            _HEADER.pack_into(self._map, 0, _MAGIC, seen, max(until, now + pause), slots)
        return pause

    @contextmanager
    def _locked(self, patience: int = _PATIENCE) -> Iterator[bool]:
        """Hold the file's lock. False if another process holds it that long, which only a stopped one does."""
        is_held = False
        for tries_left in reversed(range(patience)):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_BRIEF_S if tries_left else 0)
                continue
            is_held = True
            break
        try:
            yield is_held
        finally:
            if is_held:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _busy(self, weight: int, priority: Priority, now: float, place: Place) -> Ticket | float:
        place.busy += 1
        if priority is Priority.EXIT and place.busy > _EXIT_TRIES:
            self.granted += 1
            return Ticket(now, weight)
        return BUSY_S

    def _wait_s(self, weight: int, ceiling: int, priority: Priority, now: float, place: Place) -> float:
        paused = 0.0
        if priority is not Priority.EXIT:
            paused = self.paused_s(now)
            if self._is_behind(priority, now, place):
                return max(paused, _STEP_ASIDE_S)
        first = self._first_slot(now)
        held = sorted(slot for slot in self._slots() if slot[0] >= first and slot[1])
        excess = sum(w for _, w in held) + weight - ceiling
        if excess <= 0:
            return paused
        for number, charged in held:
            excess -= charged
            if excess <= 0:
                return max(paused, (number + 1) * self._width + self.params.window_s - now, LEAST_S)
        return max(paused, self.params.window_s)

    def _is_behind(self, priority: Priority, now: float, place: Place) -> bool:
        """Whether another request, of any process, goes first."""
        mine = (int(priority), now if place.since is None else place.since)
        for number in range(_PLACES):
            refreshed, since, theirs, owner = self._place(number)
            is_waiting = owner and number != place.number and -1.0 < now - refreshed < LEASE_S
            if is_waiting and (theirs, since) < mine:
                return True
        return False

    def _queue(self, priority: Priority, now: float, place: Place) -> None:
        """Take a place in the queue, or renew it. Where all are taken the request waits without one."""
        if place.since is None:
            place.since = now
        if place.number is None or self._place(place.number)[3] != place.owner:
            place.owner = self._rng.getrandbits(62) | 1
            free = (n for n in range(_PLACES) if self._is_free(n, now))
            place.number = next(free, None)
        if place.number is not None:
            at = _PLACES_AT + place.number * _PLACE.size
            _PLACE.pack_into(self._map, at, now, place.since, int(priority), place.owner)

    def _is_free(self, number: int, now: float) -> bool:
        refreshed, _, _, owner = self._place(number)
        return not owner or not -1.0 < now - refreshed < LEASE_S

    def _forget(self, place: Place) -> None:
        if place.number is not None and self._place(place.number)[3] == place.owner:
            _PLACE.pack_into(self._map, _PLACES_AT + place.number * _PLACE.size, 0.0, 0.0, 0, 0)
        place.number = None

    def _begin(self, now: float) -> None:
        """Note the time. A file of another form, or of before a reboot, is begun anew."""
        magic, seen, until, slots = self._header()
        if magic != _MAGIC or slots != _SLOTS_A_WINDOW or not math.isfinite(seen) or now < seen - self.params.window_s:
            self._map[:] = bytes(_SIZE)
            seen, until = now, 0.0
        _HEADER.pack_into(self._map, 0, _MAGIC, max(seen, now), until, _SLOTS_A_WINDOW)

    def _add(self, at: float, weight: int) -> None:
        number = int(at // self._width)
        place = _SLOTS_AT + (number % _SLOTS) * _SLOT.size
        held, before = _SLOT.unpack_from(self._map, place)
        if held <= number:
            _SLOT.pack_into(self._map, place, number, max(0, (before if held == number else 0) + weight))

    def _first_slot(self, now: float) -> int:
        return int((now - self.params.window_s) // self._width)

    def _header(self) -> tuple[bytes, float, float, int]:
        found: tuple[bytes, float, float, int] = _HEADER.unpack_from(self._map, 0)
        return found

    def _slots(self) -> Iterator[tuple[int, int]]:
        return _SLOT.iter_unpack(self._map[_SLOTS_AT:_PLACES_AT])

    def _place(self, number: int) -> tuple[float, float, int, int]:
        found: tuple[float, float, int, int] = _PLACE.unpack_from(self._map, _PLACES_AT + number * _PLACE.size)
        return found
