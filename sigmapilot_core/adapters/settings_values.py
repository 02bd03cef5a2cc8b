"""The values that `Settings` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUN_HISTORY_DAYS = 14
"""How long Dagster's runs, events and ticks are kept (design 5)."""


MAX_WORKERS = 9
"""Workers of the stream on one machine: each has a port of its own, between the feed's and Dagster's."""


class SettingsError(ValueError):
    """One sentence: the variable, its value and what is allowed. The command line answers it with exit code 2."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the system is connected to: demo, live, testnet or a named recording."""

    kind: str
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Mode:
        kind, _, name = text.partition(":")
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @property
    def slug(self) -> str:
        """Form for folders and databases: `recording_<name>`; unique, as names hold no colon."""
        return f"{self.kind}_{self.name}" if self.name else self.kind

    @property
    def emulated(self) -> bool:
        """Whether the venue is the emulator on this machine."""
        return self.kind in ("demo", "recording")


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1. Postgres and Dagster's code server have none: they listen on sockets in private folders."""

    dagster: int = 3000
    page: int = 8501
    api: tuple[int, ...] = (4100, 4101, 4102, 4103, 4104)
    emulator: int = 4110
    stream_metrics: int = 4120

    def worker_metrics(self, number: int) -> int:
        """Port of a worker of the stream, counted from 1."""
        return self.stream_metrics + number

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """All ports moved: API base..base+4, emulator +10, stream +20, its workers +21..29, Dagster +30, page +31."""
        return cls(base + 30, base + 31, tuple(range(base, base + 5)), base + 10, base + 20)


@dataclass(frozen=True, slots=True)
class VenueUrls:
    """Where the exchange answers; in demo and recording modes the emulator on loopback."""

    api: str
    ws: str
    leaderboard: str


@dataclass(frozen=True, slots=True)
class World:
    """The simulated world behind the emulator (spec simulation.md)."""

    seed: int
    traders: int
    days: int
    profile: str


@dataclass(frozen=True, slots=True)
class Recording:
    """The recorded world behind the emulator; `speed` 0 is as fast as it is consumed."""

    market_dir: Path | None
    leaderboard_dir: Path | None
    speed: float


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much is kept."""

    journal_max_gb: float
    journal_days: int
    database_months: int
