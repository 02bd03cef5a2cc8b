"""Did the inputs of a decision come from the snapshot they name? Everything but feed, book and account must."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.consensus.gates import direction_of
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter, finite_pairs
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.snapshot import ModelSnapshot, PoolMember
from sigmapilot_core.domain.traders.correlation import PairCorrelation


@dataclass(frozen=True, slots=True)
class SnapshotIndex:
    """A snapshot with its members and pairs by key."""

    snapshot: ModelSnapshot
    hash: str
    settings_hash: str
    members: dict[str, PoolMember]
    pairs: dict[tuple[str, str], PairCorrelation]

    @classmethod
    def of(cls, snapshot: ModelSnapshot) -> SnapshotIndex:
        """Take hashes and keys once, for thousands of decisions."""
        members = {member.address: member for member in snapshot.slow.pool}
        pairs = {(pair.addr_a, pair.addr_b): pair for pair in finite_pairs(snapshot.slow.pairs)}
        return cls(snapshot, snapshot.hash, snapshot.settings_hash, members, pairs)


def foreign_input(inputs: DecisionInputs, model: SnapshotIndex) -> str | None:
    """The first input that the snapshot states otherwise, with both values; None if all are the snapshot's own."""
    for name, held, stated in _stated(inputs, model):
        if held is stated or held == stated:
            continue
        ours, theirs = canonical_json({name: held}), canonical_json({name: stated})
        if ours != theirs:
            return f"inputs hold {ours}, snapshot {inputs.snapshot_version} says {theirs}"
    return None


def _stated(inputs: DecisionInputs, model: SnapshotIndex) -> Iterator[tuple[str, Any, Any]]:
    """(name, value in the inputs, value in the snapshot) of every input that is the snapshot's."""
    slow, figures = model.snapshot.slow, model.snapshot.fast.assets.get(inputs.asset)
    yield "mode", inputs.mode, model.snapshot.mode
    yield "snapshot_hash", inputs.snapshot_hash, model.hash
    yield "settings_hash", inputs.settings_hash, model.settings_hash
    default = HoldEstimate(model.snapshot.settings.costs.default_hold_hours, "default", 0)
    yield "hold", inputs.hold, slow.hold_hours.get(inputs.asset) or default
    for name in (
        "rho0",
        "calibration",
        "n_outcomes",
        "posterior_as_of_ms",
        "correlation_as_of_ms",
        "leaderboard_as_of_ms",
    ):
        yield name, getattr(inputs, name), getattr(slow, name)
    for name in ("volatility", "regime", "taker_fee_bps"):
        yield name, getattr(inputs, name), None if figures is None else getattr(figures, name)
    for voter in inputs.voters:
        yield f"voter {voter.address}", _record(voter), _record_of(model.members.get(voter.address))
    yield "pairs", _sorted(inputs.pairs), _expected_pairs(inputs, model)


def _record(voter: Voter) -> list[float | int | None]:
    return [voter.m, voter.kappa, voter.alpha, voter.beta, voter.n_episodes]


def _record_of(member: PoolMember | None) -> list[float | int | None] | None:
    if member is None:
        return None
    found = member.posterior
    return [found.m, found.kappa, found.alpha, found.beta, member.n_episodes]


def _sorted(pairs: tuple[PairCorrelation, ...]) -> list[PairCorrelation]:
    """Ascending by both addresses."""
    return sorted(pairs, key=lambda pair: (pair.addr_a, pair.addr_b))


def _expected_pairs(inputs: DecisionInputs, model: SnapshotIndex) -> list[PairCorrelation]:
    """The measured pairs among those who agree."""
    heads = [voter.direction for voter in inputs.voters]
    side = direction_of(heads.count(Direction.LONG), heads.count(Direction.SHORT))
    agreeing = sorted(voter.address for voter in inputs.voters if voter.direction is side)
    keys = ((a, b) for i, a in enumerate(agreeing) for b in agreeing[i + 1 :])
    return [model.pairs[key] for key in keys if key in model.pairs]
