"""Independent input -> output cases of the shared vectors; where one disagrees with the specification, that is said."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trader_builders import dec

from sigmapilot_core.domain.traders import posterior as nig
from sigmapilot_core.domain.traders.correlation import bucket_of
from sigmapilot_core.domain.traders.effective_k import constant_rho, effective_k
from sigmapilot_core.domain.traders.episode import clamp_r, r_multiple, vwap_of
from sigmapilot_core.domain.traders.posterior import Posterior
from sigmapilot_core.domain.traders.skill import benjamini_hochberg

FILE = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "consensus.json"

# the specification wins: risk <= 0 and a mean price of nothing are unknown, not 0 (signals.md 1.3 and "three values")
UNKNOWN_BY_SPECIFICATION = {"r_multiple-05", "vwap-02"}
REPEATED = {"1.0 repeated 100": [1.0] * 100, "-0.5 repeated 100": [-0.5] * 100}


def cases(topic: str) -> list[dict[str, Any]]:
    """The cases of one topic."""
    if not FILE.exists():
        pytest.skip("the shared vectors are not beside the project (../shared/vectors/consensus.json)")
    found = [case for case in json.loads(FILE.read_text()) if case["topic"] == topic]
    assert found, topic
    return found


def tolerance(case: dict[str, Any]) -> float:
    """Ours: the exact value, but for expectations that were written down with few digits."""
    return max(1e-9, float(case["tolerance"])) if isinstance(case["tolerance"], int | float) else 1e-9


def observations(given: str | Sequence[float]) -> Sequence[float]:
    return REPEATED[given] if isinstance(given, str) else given


def test_posterior_updates() -> None:
    for case in cases("nig"):
        p = Posterior(*(case["input"]["prior"][name] for name in ("m", "kappa", "alpha", "beta")))
        for r in observations(case["input"]["r"]):
            p = nig.update(p, r)
        for name, value in case["expected"].items():
            assert getattr(p, name) == pytest.approx(value, abs=tolerance(case)), (case["id"], name)


def test_variance_of_mu() -> None:
    for case in cases("nig_var"):
        given = case["input"]
        got = Posterior(0.0, given["kappa"], given["alpha"], given["beta"]).var_mu
        assert got == pytest.approx(case["expected"], abs=tolerance(case)), case["id"]


def test_weights() -> None:
    for case in cases("nig_weight"):
        assert nig.weight(case["input"]["kappa"]) == pytest.approx(case["expected"], abs=1e-9), case["id"]


def test_effective_k() -> None:
    two_blocks = np.kron(np.eye(2), np.ones((5, 5))) * 0.8
    for case in cases("eff_k"):
        weights, rho = case["input"]["w"], case["input"].get("rho")
        if isinstance(weights, str):
            got = effective_k(np.ones(10), two_blocks)
        else:
            value = float(str(rho or 0).removeprefix("unknown -> "))
            got = effective_k(weights, constant_rho(len(weights), value))
        assert got == pytest.approx(case["expected"], abs=1e-9), case["id"]


def test_false_discovery_rate() -> None:
    for case in cases("fdr"):
        got = benjamini_hochberg(case["input"]["p"], case["input"]["alpha"])
        assert int(got.sum()) == case["expected"]["selected"], case["id"]


def test_multiples_of_risk() -> None:
    for case in cases("r_multiple"):
        got = r_multiple(case["input"]["pnl"], case["input"]["risk"], 2.0)
        expected = (case["expected"]["clamped"], case["expected"]["unclamped"])
        assert got == ((None, None) if case["id"] in UNKNOWN_BY_SPECIFICATION else expected), case["id"]


def test_clamping() -> None:
    for case in cases("winsorize"):
        assert clamp_r(case["input"]["r"]) == case["expected"], case["id"]


def test_mean_prices() -> None:
    for case in cases("vwap"):
        got = vwap_of((dec(size), dec(px)) for size, px in case["input"]["fills"])
        if case["id"] in UNKNOWN_BY_SPECIFICATION:
            assert got is None
        else:
            assert got is not None
            assert float(got) == pytest.approx(case["expected"], abs=1e-6), case["id"]


def test_buckets() -> None:
    for case in cases("bucket"):
        if case["expected"] == "same id":
            assert bucket_of(300_000 * 7) == bucket_of(300_000 * 8 - 1)
        else:
            time_ms = round(dt.datetime.fromisoformat(case["input"]["ts"]).timestamp() * 1000)
            assert bucket_of(time_ms) == case["expected"], case["id"]
