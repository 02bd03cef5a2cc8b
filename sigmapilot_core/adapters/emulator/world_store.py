"""What makes a simulated world the same one again: seed, epoch, size and what was put into it, in one small file.

World = f(seed, epoch, settings, inputs). The epoch is fixed at the first start; a later start extends the same world
to its own now, and what happened in between is missed history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sigmapilot_core.domain.simulation.live import InputKind, WorldInput
from sigmapilot_core.domain.simulation.settings import LAWS, Profile, WorldSettings

FILE_NAME = "world.json"


class WorldMismatch(Exception):
    """The folder holds another world than the one asked for, or one of other laws."""


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """The world asked for; `epoch_ms` None is the moment of the first start."""

    seed: int
    traders: int
    history_days: int
    profile: Profile
    epoch_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoredWorld:
    """A world as stored: its settings and its inputs."""

    settings: WorldSettings
    inputs: tuple[WorldInput, ...] = ()


class WorldStore:
    """One world in one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def open(self, plan: WorldPlan, now_ms: int) -> StoredWorld:
        """The stored world, or a new one with `now_ms` as its epoch. `WorldMismatch` if the plan is of another one."""
        if not self._path.exists():
            epoch = now_ms if plan.epoch_ms is None else plan.epoch_ms
            stored = StoredWorld(WorldSettings(plan.seed, epoch, plan.traders, plan.history_days, plan.profile))
            self.save(stored)
            return stored
        stored = self._load()
        for name in ("seed", "epoch_ms", "traders", "history_days", "profile"):
            wanted, kept = getattr(plan, name), getattr(stored.settings, name)
            if wanted is not None and wanted != kept:
                raise WorldMismatch(
                    f"{name} is {wanted}; allowed is {kept}, the world in {self._path.parent}, or another folder."
                )
        return stored

    def save(self, stored: StoredWorld) -> None:
        """Replace the file as a whole."""
        settings = stored.settings
        document = {
            "laws": LAWS,
            "seed": settings.seed,
            "epoch_ms": settings.epoch_ms,
            "traders": settings.traders,
            "history_days": settings.history_days,
            "profile": settings.profile.value,
            "inputs": [asdict(made) for made in stored.inputs],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        with draft.open("w") as stream:
            json.dump(document, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self._path)

    def _load(self) -> StoredWorld:
        document: dict[str, Any] = json.loads(self._path.read_text())
        laws = document.pop("laws", 1)
        if laws != LAWS:
            raise WorldMismatch(
                f"laws is {laws} in {self._path}; allowed is {LAWS}: another version of the simulation made it. "
                "`sigmapilot reset` removes the mode's data, or take another folder."
            )
        inputs: Sequence[dict[str, Any]] = document.pop("inputs")
        document["profile"] = Profile(document["profile"])
        made = tuple(WorldInput(**(row | {"kind": InputKind(row["kind"])})) for row in inputs)
        return StoredWorld(WorldSettings(**document), made)
