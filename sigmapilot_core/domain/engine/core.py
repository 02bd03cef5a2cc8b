"""State that the parts of the engine share, and the active model with its look-ups."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

from sigmapilot_core.domain.consensus.inputs import finite_pairs
from sigmapilot_core.domain.engine.accounts import Trader
from sigmapilot_core.domain.engine.coin import CoinState, Connection
from sigmapilot_core.domain.engine.electorate import PairIndex
from sigmapilot_core.domain.engine.schedule import Schedule
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.snapshot import ModelSnapshot, PoolMember
from sigmapilot_core.domain.traders.effective_k import PairMatrix


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A snapshot with its hashes taken once and its members and pairs by key."""

    snapshot: ModelSnapshot
    hash: str
    settings_hash: str
    members: dict[str, PoolMember]
    pairs: PairIndex
    measured: PairMatrix
    slow_hash: str

    @classmethod
    def of(cls, snapshot: ModelSnapshot, before: ActiveModel | None = None) -> ActiveModel:
        """Index a snapshot; what has not changed since the model before is taken over."""
        slow, settings_hash, slow_hash = snapshot.slow, snapshot.settings_hash, snapshot.slow_hash
        if before is not None and (before.slow_hash, before.settings_hash) == (slow_hash, settings_hash):
            snapshot = replace(snapshot, slow=before.snapshot.slow, settings=before.snapshot.settings)
            return replace(before, snapshot=snapshot, hash=snapshot.hash)
        members = {member.address: member for member in slow.pool}
        pairs = finite_pairs(slow.pairs)
        measured = PairMatrix(tuple(members), pairs, slow.rho0, snapshot.settings.correlation)
        return cls(snapshot, snapshot.hash, settings_hash, members, PairIndex.of(pairs), measured, slow_hash)

    @property
    def params(self) -> Params:
        """The settings in force."""
        return self.snapshot.settings


@dataclass(slots=True)
class Counters:
    """What was left out, and why; for metrics."""

    unknown_coin: int = 0
    before_snapshot: int = 0
    duplicate: int = 0
    before_prime: int = 0
    late: int = 0
    bad: int = 0
    waiting: int = 0
    fills: int = 0
    evaluations: int = 0


@dataclass(slots=True)
class Core:
    """Everything the engine holds. `partition` names its journal; `own_coins` is None for all coins."""

    partition: str
    own_coins: Container[str] | None = None
    model: ActiveModel | None = None
    risk: RiskState | None = None
    coins: dict[str, CoinState] = field(default_factory=dict)
    traders: dict[str, Trader] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    counters: Counters = field(default_factory=Counters)

    @property
    def params(self) -> Params:
        """Settings of the active snapshot; the defaults before the first."""
        return Params() if self.model is None else self.model.params

    def is_own(self, coin: str) -> bool:
        """Whether the coin belongs to this partition."""
        return self.own_coins is None or coin in self.own_coins
