"""What a benchmark says: figures with units and, where there is one, the goal they are held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `goal` is a least value, or a largest one where `is_ceiling`."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    is_ceiling: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the goal was reached: 1 or more is met; None without a goal."""
        if self.goal is None:
            return None
        return self.goal / self.value if self.is_ceiling else self.value / self.goal

    @classmethod
    def of(cls, row: dict[str, Any]) -> Figure:
        """A figure read back from the process that measured it."""
        return cls(**row)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far. Linux only: /proc counts from the start of the program."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmHWM:"))
    return float(found.split()[1]) * 1024 / 1e6
