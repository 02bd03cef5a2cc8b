"""Explanations: what an auditor reads follows from the inputs, names no address, and every what-if is proven."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

import pytest
from decision_builders import MID, NOW, PARAMS, SHORT, book, decided, inputs, ordered, voter, voters
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.consensus.counterfactual import Case, counterfactuals, with_more
from sigmapilot_core.domain.consensus.decision import assess
from sigmapilot_core.domain.consensus.estimate import figures_of
from sigmapilot_core.domain.consensus.explanation import explanation
from sigmapilot_core.domain.consensus.explanation_text import explanation_text
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.waterfall import StepKind, waterfall
from sigmapilot_core.domain.traders.pseudonym import pseudonym

SPOILT: dict[str, DecisionInputs] = {
    "min_traders": inputs(voters(2)),
    "supermajority": inputs(voters(3, 2)),
    "effective_k": inputs(voters(3), rho=0.9),
    "freshness": inputs(ordered((*voters(2), voter(3, voted_at_ms=NOW - 200_000)))),
    "price_band": inputs(voters(3), book=book(Decimal(51_000))),
    "ev_gate": inputs(voters(3, m=0.05)),
    "inputs_fresh": inputs(voters(3), leaderboard_as_of_ms=NOW - 51 * 3_600_000),
}


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_every_gate_that_fails_has_a_proven_nearest_change(gate: str) -> None:
    found = [answer for answer in counterfactuals(SPOILT[gate], PARAMS) if answer.gate == gate]
    assert found
    assert all(answer.is_proven for answer in found)
    assert any(answer.then == "signal" for answer in counterfactuals(SPOILT[gate], PARAMS))


def test_a_gate_that_passes_has_none() -> None:
    assert counterfactuals(inputs(), PARAMS) == ()


def test_the_smallest_number_of_traders_is_the_smallest() -> None:
    case = Case(SPOILT["ev_gate"], PARAMS, assess(SPOILT["ev_gate"], PARAMS))
    answer = next(a for a in counterfactuals(case.inputs, PARAMS) if a.unit == "traders")
    fewer = with_more(case, int(answer.amount or 0) - 1)
    assert fewer is not None
    assert not case.passes("ev_gate", fewer)


@pytest.mark.parametrize(("gate", "unit"), [("ev_gate", "R"), ("price_band", "bps"), ("effective_k", "share")])
def test_a_change_of_a_number_leads_to_the_threshold_and_not_beyond(gate: str, unit: str) -> None:
    answer = next(a for a in counterfactuals(SPOILT[gate], PARAMS) if a.gate == gate and a.unit == unit)
    assert answer.amount is not None
    wanted = PARAMS.consensus
    threshold = {"ev_gate": wanted.ev_min_r, "price_band": wanted.max_price_drift_r, "effective_k": 2.0}[gate]
    reached = _value_after(gate, answer.amount)
    assert reached == pytest.approx(threshold, abs=1e-4)


def _value_after(gate: str, amount: float) -> float | None:
    """The gate's value with the change made by hand, not by the code under test."""
    made = SPOILT[gate]
    if gate == "ev_gate":
        made = replace(made, voters=tuple(replace(v, m=(v.m or 0) + amount) for v in made.voters))
    elif gate == "price_band":
        made = replace(made, book=book(Decimal(51_000) - Decimal(str(51_000 * amount / 10_000))))
    else:
        pairs = tuple(replace(pair, rho=(pair.rho or 0) * (1 - amount)) for pair in made.pairs)
        made = replace(made, pairs=pairs, rho0=(made.rho0 or 0) * (1 - amount))
    return assess(made, PARAMS).gate(gate).value


def test_what_is_not_known_cannot_be_made_up() -> None:
    (answer,) = [a for a in counterfactuals(inputs(voters(3), book=None), PARAMS) if a.gate == "inputs_fresh"]
    assert not answer.is_proven
    assert "the book been known" in answer.sentence


def test_unmeasured_pairs_are_what_effective_k_waits_for() -> None:
    (answer,) = counterfactuals(inputs(voters(3), rho=None), PARAMS)
    assert (answer.gate, answer.amount, answer.unit, answer.then) == ("effective_k", 2.0, "pairs", "signal")


@settings(deadline=None, max_examples=50)
@given(st.floats(-0.5, 1.5), st.floats(0, 1), st.integers(3, 8), st.floats(-2e-4, 2e-4))
def test_the_steps_add_up_to_the_ev_of_the_decision(m: float, rho: float, count: int, funding: float) -> None:
    made = inputs(voters(count, m=m), rho=rho, funding_rate_hourly=funding)
    assessed = assess(made, PARAMS)
    ev, edges = assessed.ev, [figures_of(item, PARAMS).edge for item in made.voters]
    assert ev is not None
    assert ev.net_r is not None
    steps = waterfall(ev, assessed.cost, [edge for edge in edges if edge is not None], PARAMS)
    changes = sum(step.value_r for step in steps if step.kind is StepKind.CHANGE)
    assert changes == pytest.approx(ev.net_r, abs=1e-9)
    assert [step.value_r for step in steps if step.kind is StepKind.TOTAL] == [ev.gross_r, ev.net_r]
    assert not [step for step in steps if step.name.startswith("other")]


def test_dependence_takes_away_and_independence_does_not() -> None:
    def step(rho: float) -> float:
        made = replace(inputs(voters(3), rho=rho), rho0=0.0)
        return next(s.value_r for s in explanation(made, PARAMS).waterfall if s.name == "dependence")

    assert step(0.0) == pytest.approx(0.0)
    assert step(0.9) < 0


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_no_address_is_in_what_is_told(gate: str) -> None:
    users = {v.address: f"0x{n:040x}" for n, v in enumerate(SPOILT[gate].voters, 1)}
    made = replace(
        SPOILT[gate],
        voters=ordered(replace(v, address=users[v.address]) for v in SPOILT[gate].voters),
        pairs=tuple(replace(p, addr_a=users[p.addr_a], addr_b=users[p.addr_b]) for p in SPOILT[gate].pairs),
    )
    found = explanation(made, PARAMS)
    told = json.dumps(asdict(found)) + explanation_text(found)
    for address in users.values():
        assert address not in told
        assert pseudonym(address) in told


def test_a_pseudonym_is_stable_short_and_of_the_address_whatever_its_case() -> None:
    address = "0x" + "ab" * 20
    assert pseudonym(address) == pseudonym(address.upper().replace("0X", "0x")) == "B2PY-GP6R"
    assert len({pseudonym(f"0x{n:040x}") for n in range(10_000)}) == 10_000


def test_the_text_has_every_section_and_every_gate() -> None:
    found = explanation(SPOILT["supermajority"], PARAMS)
    text = explanation_text(found)
    for part in ("VOTERS", "CORRELATION", "GATES", "RISK CHECKS", "EXPECTED VALUE", "WHAT WOULD HAVE HAD", *GATE_NAMES):
        assert part in text
    assert "had one opponent not voted. The decision would then have been signal." in text
    assert "(short)" in text, "who voted against is marked"


@pytest.mark.parametrize(
    "made",
    [
        inputs(voters(2, 2)),
        inputs((voter(1, m=None),)),
        inputs((voter(1, SHORT, price=None, notional=None),)),
        inputs(voters(3), volatility=None, regime=None, hold=None, risk=None, rho0=None, calibration=None),
        replace(inputs(), voters=(), pairs=()),
    ],
)
def test_whatever_is_unknown_the_explanation_is_whole(made: DecisionInputs) -> None:
    found = explanation(made, PARAMS)
    assert len(found.gates) == len(GATE_NAMES)
    assert found.decision_type == "skip"
    assert {answer.gate for answer in found.counterfactuals} == {g.name for g in found.gates if g.verdict != "pass"}
    assert explanation_text(found)


def test_it_explains_the_decision_that_was_made() -> None:
    for made in SPOILT.values():
        found = explanation(made, PARAMS)
        same: Any = decided(made.voters, **{n: getattr(made, n) for n in ("pairs", "book", "leaderboard_as_of_ms")})
        assert (found.decision_id, found.reasoning) == (same.id, same.reasoning)
    assert MID == 50_000
