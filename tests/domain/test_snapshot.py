"""The published model: lossless, hashed by content, refused when damaged (spec 1.8)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sigmapilot_core.domain.consensus.expected_value import CalibrationMap, CalibrationMaps
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import Regime, RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate, VolatilitySource
from sigmapilot_core.domain.params import Params, RiskParams
from sigmapilot_core.domain.snapshot import (
    AssetFigures,
    FastPart,
    ModelSnapshot,
    PoolFlavour,
    PoolMember,
    SlowPart,
    fast_from_json,
    from_json,
    part_to_json,
    settings_from_json,
    slow_from_json,
    to_json,
)
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.posterior import Posterior

SLOW = SlowPart(
    selection_version=7,
    selected_on="2026-01-02",
    pool=(
        PoolMember("0xa", 1, Posterior(0.1, 21.5, 13.25, 4.2), 20.5, 25, fdr_qualified=True),
        PoolMember("0xb", 2, Posterior(0.0, 1.0, 3.0, 1.0), 0.0, 0),
    ),
    rho0=0.2,
    pairs=(PairCorrelation("0xa", "0xb", 0.3, 12, 3, None),),
    calibration=CalibrationMaps(CalibrationMap((0.1, 0.9), (0.2, 0.7))),
    n_outcomes=3,
    hold_hours={"BTC": HoldEstimate(12.0, "episodes", 20)},
    tracked=("0xa", "0xb", "0xc"),
    posterior_as_of_ms=1,
)
FAST = FastPart(
    {
        "BTC": AssetFigures(
            "BTC",
            5,
            VolatilityEstimate("BTC", 500.0, 50_000.0, 0.01, 0.02, 50.0, VolatilitySource.ATR, 1, 2),
            RegimeEstimate("BTC", Regime.RANGING, 0.5, 0.001, 1.0, 60, 1, 2),
            0.0000125,
            5e9,
            4.5,
            2,
        )
    }
)
SNAPSHOT = ModelSnapshot(3, 2, 3, "recording:x", PoolFlavour.RECORDING, SLOW, FAST, Params(), published_at_ms=9)


def test_a_snapshot_comes_back_from_its_text() -> None:
    text = to_json(SNAPSHOT)
    assert from_json(text) == SNAPSHOT
    assert to_json(from_json(text)) == text


def test_parts_and_settings_come_back_from_theirs() -> None:
    assert slow_from_json(part_to_json(SLOW)) == SLOW
    assert fast_from_json(part_to_json(FAST)) == FAST
    assert settings_from_json(part_to_json(Params())) == Params()


def test_versions_and_publication_are_no_content() -> None:
    again = replace(SNAPSHOT, version=4, slow_version=9, fast_version=9, published_at_ms=10)
    assert again.hash == SNAPSHOT.hash


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"slow": replace(SLOW, rho0=0.21)}, {"slow_hash"}),
        ({"fast": FastPart()}, {"fast_hash"}),
        ({"settings": Params(risk=RiskParams(cooldown_s=1.0))}, {"settings_hash"}),
        ({"mode": "live"}, set()),
        ({"pool_flavour": PoolFlavour.NORMAL}, set()),
    ],
)
def test_other_content_has_another_hash(change: dict[str, Any], parts: set[str]) -> None:
    other = replace(SNAPSHOT, **change)
    assert other.hash != SNAPSHOT.hash
    differing = {
        name for name in ("slow_hash", "fast_hash", "settings_hash") if getattr(other, name) != getattr(SNAPSHOT, name)
    }
    assert differing == parts


def test_a_damaged_text_is_refused() -> None:
    tree = json.loads(to_json(SNAPSHOT))
    tree["slow"]["rho0"] = "0.1"
    with pytest.raises(ValueError, match=r"snapshot\.hash"):
        from_json(json.dumps(tree))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("slow", "rho0"), "x", r"snapshot\.slow\.rho0 must be a number"),
        (("slow", "pool", 0, "posterior", "beta"), "-1", r"snapshot\.slow\.pool\[0\]\.posterior: .*beta"),
        (("slow", "pool", 0, "posterior", "kappa"), "NaN", r"posterior\.kappa must be a finite number"),
        (("fast", "assets", "BTC", "regime", "regime"), "calm", r"fast\.assets\.BTC\.regime\.regime must be one of"),
        (("settings", "risk", "max_positions"), "many", r"settings\.risk\.max_positions must be an integer"),
        (("pool_flavour",), "odd", "pool_flavour must be one of normal, recording"),
    ],
)
def test_reading_names_the_field(path: tuple[Any, ...], value: str, message: str) -> None:
    tree = json.loads(to_json(SNAPSHOT))
    place = tree
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(tree))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slow": replace(SLOW, pool=SLOW.pool[:1] * 2)}, "address twice"),
        ({"slow": replace(SLOW, rho0=1.0)}, "rho0"),
        ({"slow": replace(SLOW, pairs=(PairCorrelation("0xb", "0xa", None, 1, 0, None),))}, "addr_a < addr_b"),
        ({"fast": FastPart({"ETH": FAST.assets["BTC"]})}, r"fast\.assets\.ETH"),
    ],
)
def test_a_snapshot_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SNAPSHOT, **change)


def test_text_without_a_hash_or_that_is_no_object_is_refused() -> None:
    tree = json.loads(to_json(SNAPSHOT))
    del tree["hash"]
    with pytest.raises(ValueError, match="lacks the field 'hash'"):
        from_json(json.dumps(tree))
    with pytest.raises(ValueError, match="must be an object"):
        from_json("[]")
