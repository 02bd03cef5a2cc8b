"""What services see of the decision step: that of this process, or what workers elsewhere report of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.engine.core import Counters
from sigmapilot_core.domain.snapshot import PoolMember


class TraderView(Protocol):
    """A followed trader."""

    @property
    def member(self) -> PoolMember | None:
        """Set while the trader is in the pool."""

    @property
    def is_primed(self) -> bool:
        """Whether his positions are known."""


class EngineView(Protocol):
    """State of the decision step, to be read only."""

    @property
    def traders(self) -> Mapping[str, TraderView]:
        """Followed traders by address."""

    @property
    def unprimed(self) -> list[str]:
        """Accounts that wait for their positions; pool members first."""

    @property
    def coins(self) -> Mapping[str, CoinState]:
        """State by coin; none of those that others decide on."""

    @property
    def counters(self) -> Counters:
        """What was left out."""


class WorkerView(Protocol):
    """One partition, or all of them together."""

    @property
    def engine(self) -> EngineView:
        """Its state."""

    @property
    def partition(self) -> str:
        """Its name."""

    @property
    def snapshot_version(self) -> int | None:
        """Version of the model in force; None before the first."""


class DecideView(Protocol):
    """How far deciding is."""

    @property
    def worker(self) -> WorkerView:
        """Whose inputs they are."""

    @property
    def handled_seq(self) -> int:
        """The last input that is decided on and committed."""

    @property
    def handled_seqs(self) -> Mapping[str, int]:
        """The same by partition, in the order of the partitions."""

    def lag_s(self, now_ms: int) -> float | None:
        """How far deciding is behind while inputs wait, seconds; None where it is not known."""
