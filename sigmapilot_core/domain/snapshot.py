"""The model snapshot: everything learnt that the stream decides with, immutable and hashed (spec 1.8).

Two parts, each with a version and a hash of its own: `slow` (pool, posteriors, correlations, calibration) and `fast`
(volatility, regime, costs). Versions and the moment of publication are no content: they are not hashed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sigmapilot_core.domain.canonical import canonical_json, plain, sha256_of
from sigmapilot_core.domain.codec import from_plain
from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.posterior import Posterior


class PoolFlavour(StrEnum):
    """How the pool was chosen: by the rules, or taken from the traders of a recording."""

    NORMAL = "normal"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True)
class PoolMember:
    """One trader who may vote, with his posterior as of `SlowPart.posterior_as_of_ms`.

    `n_episodes` counts the closed episodes behind it. `fdr_qualified` labels and never gates; None where the skill
    test could not be made.
    """

    address: str
    rank: int
    posterior: Posterior
    n_eff: float
    n_episodes: int
    fdr_qualified: bool | None = None


@dataclass(frozen=True, slots=True)
class SlowPart:
    """What changes daily or when an episode closes.

    `pairs` holds the measured pairs of the pool, addr_a < addr_b, ascending; an absent pair is unmeasured. `tracked`
    are all followed addresses, pool and pinned included, ascending. `hold_hours` is by coin. `n_outcomes` counts
    closed outcomes of our own decisions. As-of instants are None where the input was never computed.
    """

    selection_version: int
    selected_on: str
    pool: tuple[PoolMember, ...]
    rho0: float
    pairs: tuple[PairCorrelation, ...] = ()
    calibration: CalibrationMaps = field(default_factory=CalibrationMaps)
    n_outcomes: int = 0
    hold_hours: Mapping[str, HoldEstimate] = field(default_factory=dict)
    tracked: tuple[str, ...] = ()
    posterior_as_of_ms: int | None = None
    correlation_as_of_ms: int | None = None
    leaderboard_as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AssetFigures:
    """What is known of one perpetual; None is unknown.

    `funding_rate_hourly`, `day_volume_usd` and `taker_fee_bps` (the account's own rate; None: the base tier) are as of
    `costs_as_of_ms`.
    """

    coin: str
    sz_decimals: int
    volatility: VolatilityEstimate | None = None
    regime: RegimeEstimate | None = None
    funding_rate_hourly: float | None = None
    day_volume_usd: float | None = None
    taker_fee_bps: float | None = None
    costs_as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FastPart:
    """What changes every few minutes, by coin; the coins are the universe the stream knows."""

    assets: Mapping[str, AssetFigures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One published model. `settings` are the parameters it was made with and is decided with.

    `mode` is `demo`, `recording:<name>`, `live` or `testnet`. Errors: ValueError for parts that contradict themselves.
    """

    version: int
    slow_version: int
    fast_version: int
    mode: str
    pool_flavour: PoolFlavour
    slow: SlowPart
    fast: FastPart
    settings: Params = field(default_factory=Params)
    published_at_ms: int = 0

    def __post_init__(self) -> None:
        _check_slow(self.slow)
        for coin, figures in self.fast.assets.items():
            if figures.coin != coin:
                raise ValueError(f"fast.assets.{coin} is of the coin {figures.coin!r}, {coin!r} is allowed")

    @property
    def slow_hash(self) -> str:
        """SHA-256 of the slow part."""
        return sha256_of(self.slow)

    @property
    def fast_hash(self) -> str:
        """SHA-256 of the fast part."""
        return sha256_of(self.fast)

    @property
    def settings_hash(self) -> str:
        """SHA-256 of the parameters."""
        return settings_hash(self.settings)

    @property
    def hash(self) -> str:
        """SHA-256 over both parts, settings, mode and pool flavour: equal content, equal hash, whatever the version."""
        return sha256_of(
            {
                "slow": self.slow_hash,
                "fast": self.fast_hash,
                "settings": self.settings_hash,
                "mode": self.mode,
                "pool_flavour": self.pool_flavour,
            }
        )


@functools.lru_cache(maxsize=64)
def settings_hash(params: Params) -> str:
    """SHA-256 of the canonical JSON of all parameters: stamped on every decision."""
    return sha256_of(params)


def to_json(snapshot: ModelSnapshot) -> str:
    """Canonical JSON of the whole snapshot with its hash. Errors: ValueError naming a number that is not finite."""
    return canonical_json({**plain(snapshot, "snapshot"), "hash": snapshot.hash})


def from_json(text: str) -> ModelSnapshot:
    """The snapshot back from `to_json`, lossless.

    Errors: ValueError naming the field that is missing, unknown or wrong, or when the content does not match its hash.
    """
    tree = _object(text, "snapshot")
    stated = tree.pop("hash", None)
    snapshot = from_plain(ModelSnapshot, tree, "snapshot")
    if stated is None:
        raise ValueError("snapshot lacks the field 'hash'")
    if stated != snapshot.hash:
        raise ValueError(f"snapshot.hash is {stated!r}, but the content's hash is {snapshot.hash!r}")
    return snapshot


def part_to_json(part: SlowPart | FastPart | Params) -> str:
    """Canonical JSON of one part or of the settings, as stored apart."""
    return canonical_json(part)


def slow_from_json(text: str) -> SlowPart:
    """The slow part back from its text. Errors: ValueError naming the field."""
    return from_plain(SlowPart, _object(text, "slow"), "slow")


def fast_from_json(text: str) -> FastPart:
    """The fast part back from its text. Errors: ValueError naming the field."""
    return from_plain(FastPart, _object(text, "fast"), "fast")


def settings_from_json(text: str) -> Params:
    """The parameters back from their text. Errors: ValueError naming the field."""
    return from_plain(Params, _object(text, "settings"), "settings")


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{name} must be an object, got {type(tree).__name__}")
    return tree


def _check_slow(slow: SlowPart) -> None:
    addresses = [member.address for member in slow.pool]
    if len(set(addresses)) != len(addresses):
        raise ValueError("slow.pool names an address twice; each trader votes once")
    if not 0 <= slow.rho0 < 1:
        raise ValueError(f"slow.rho0 is {slow.rho0}; allowed is [0, 1)")
    for pair in slow.pairs:
        if not pair.addr_a < pair.addr_b:
            raise ValueError(f"slow.pairs has ({pair.addr_a}, {pair.addr_b}); allowed is addr_a < addr_b")
