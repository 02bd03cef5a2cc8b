"""The decision as a whole: reachability, symmetry, monotonicity, order, identity (spec 4.3, 4.4)."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from decision_builders import (
    LONG,
    MID,
    NOW,
    PARAMS,
    SHORT,
    decided,
    inputs,
    mirrored,
    not_passed,
    ordered,
    pairs,
    risk,
    side_of_book,
    voter,
    voters,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.consensus.decision import assess, decide, decision_key, recompute, should_write, stored_key
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.record import DecisionType, columns_of
from sigmapilot_core.domain.events import Book, Direction
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.params import CostParams, KellyParams, Params, RiskParams
from sigmapilot_core.domain.snapshot import settings_hash

SIDES = [LONG, SHORT]


def three(side: Direction, **changes: Any) -> tuple[Any, ...]:
    return ordered(voter(number, side, **changes) for number in (1, 2, 3))


def spoilt(gate: str, side: Direction) -> DecisionInputs:
    """Inputs with three voters that fail exactly one gate, and those that cannot do without it."""
    found = three(side)
    other = SHORT if side is LONG else LONG
    split = ordered([voter(1, side), voter(2, side), voter(3, other)])
    return {
        "inputs_fresh": inputs(found, feed_last_frame_ms=NOW - 11_000),
        "min_traders": inputs(split),
        "supermajority": inputs(split),
        "effective_k": inputs(found, rho=0.9),
        "freshness": inputs(ordered([voter(1, side), voter(2, side), voter(3, side, voted_at_ms=NOW - 151_000)])),
        "price_band": inputs(three(side, price=MID * Decimal("0.99"))),
        "ev_gate": inputs(three(side, m=0.05)),
    }[gate]


@pytest.mark.parametrize("side", SIDES)
def test_three_voters_can_pass_every_gate(side: Direction) -> None:
    decision = decided(three(side))
    assert [result.name for result in decision.gates] == list(GATE_NAMES)
    assert (decision.decision_type, decision.direction) == (DecisionType.SIGNAL, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("gate", GATE_NAMES)
def test_three_voters_can_fail_every_gate(gate: str, side: Direction) -> None:
    decision = decide(spoilt(gate, side), PARAMS)
    assert decision.gate(gate).passed is False
    assert decision.decision_type is DecisionType.SKIP
    assert len(decision.gates) == len(GATE_NAMES)


def test_a_tie_has_no_direction_and_is_skipped() -> None:
    decision = decided(voters(3, 3))
    assert decision.direction is Direction.NONE
    assert not_passed(decision) == {
        "supermajority": False, "effective_k": None, "freshness": None, "price_band": None, "ev_gate": None,
    }  # fmt: skip
    assert decision.stop_price is None


def test_a_late_burst_fails_freshness_and_nothing_else() -> None:
    late = ordered(voter(number, voted_at_ms=NOW - 600_000 - number) for number in (1, 2, 3))
    assert not_passed(decided(late)) == {"freshness": False}


def test_a_fresh_copy_group_is_unknown_not_passed() -> None:
    decision = decided(voters(3), rho=None)
    assert not_passed(decision) == {"effective_k": None}
    assert decision.effective_k == pytest.approx(2.5)  # 9 / (3 + 6 x 0.1) by rho0, shown only


def test_kelly_off_sizes_at_two_percent_of_equity() -> None:
    assert decided().size.notional_usd == pytest.approx(2_000.0)


def test_stop_and_take_profit_carry_the_factor_of_the_regime() -> None:
    volatile = replace(inputs().regime, regime=Regime.VOLATILE)  # type: ignore[type-var]
    decision = decided(regime=volatile)
    assert decision.trade_stop_fraction == pytest.approx(0.02 * 1.5)
    assert decision.stop_price == pytest.approx(50_000 * 0.97)
    assert decision.take_profit_price == pytest.approx(50_000 * 1.06)
    short = decided(three(SHORT), regime=volatile)
    assert (short.stop_price, short.take_profit_price) == pytest.approx((51_500.0, 47_000.0))


def test_cost_is_in_multiples_of_the_trade_s_stop() -> None:
    # two fees of 4.5, half a spread of 1 USD in 50 000 a side, 12 h of 0.1 bps an hour; stop 2 % x 1.2
    decision = decided()
    assert decision.ev is not None
    assert decision.ev.cost_bps == pytest.approx(9.0 + 2 * 0.2 + 1.2, abs=1e-6)
    assert decision.ev.cost_r == pytest.approx(decision.ev.cost_bps / 240.0)


def test_a_failed_risk_check_makes_it_a_risk_reject() -> None:
    blocked = replace(risk(), signal_times_ms={"BTC": NOW - 299_000})
    decision = decided(risk=blocked)
    assert decision.decision_type is DecisionType.RISK_REJECT
    assert [check.name for check in decision.risk_checks if check.passed is not True] == ["cooldown"]
    allowed = replace(risk(), signal_times_ms={"BTC": NOW - 300_000})
    assert decided(risk=allowed).decision_type is DecisionType.SIGNAL


def test_a_cap_that_shrinks_the_size_is_named() -> None:
    kelly = Params(kelly=KellyParams(enabled=True))
    decision = decided(params=kelly)
    assert (decision.size.notional_usd, decision.size.binding_cap) == (pytest.approx(2_000.0), "max_position")


def test_too_little_depth_leaves_the_cost_unknown() -> None:
    thin = Book("BTC", NOW, NOW, side_of_book(MID, -1), side_of_book(MID, 1, depth=1))
    rich = Params(risk=RiskParams(max_position_pct=0.10))
    decision = decided(params=rich, book=thin, risk=risk(equity_usd=10_000_000.0))
    assert not_passed(decision) == {"ev_gate": None}
    assert "too thin" in decision.gate("ev_gate").detail


def test_without_a_book_subscription_the_venue_s_mid_and_static_costs_count() -> None:
    no_book = {"book": None, "is_book_subscribed": False, "context_mid": MID, "context_received_ms": NOW}
    decision = decided(**no_book)
    assert decision.decision_type is DecisionType.SIGNAL
    assert decision.cost is not None
    assert decision.cost.slippage_bps == 2 * CostParams().static_slippage_major_bps
    assert not_passed(decided(**no_book | {"context_received_ms": NOW - 5_001})) == {"inputs_fresh": False}


def test_the_same_inputs_give_the_same_id_and_bytes() -> None:
    made = inputs()
    again = DecisionInputs.from_json(made.to_json())
    assert again == made
    assert decide(again, PARAMS).to_json() == decide(made, PARAMS).to_json()


def test_recomputing_from_stored_inputs_gives_the_same_bytes() -> None:
    made = inputs(voters(4, 1))
    assert recompute(made.to_json(), PARAMS) == decide(made, PARAMS).to_json()


def test_other_settings_than_those_decided_with_are_refused() -> None:
    with pytest.raises(ValueError, match="settings_hash"):
        recompute(inputs().to_json(), Params(risk=RiskParams(cooldown_s=1.0)))


@pytest.mark.parametrize(
    "change",
    [
        {"now_ms": NOW + 1},
        {"trigger_event_id": "p0-2"},
        {"snapshot_hash": "cd" * 32},
        {"rho0": 0.11},
        {"voters": voters(3, price=MID + 1)},
    ],
)
def test_any_other_input_gives_another_id(change: dict[str, Any]) -> None:
    assert decide(inputs(**change), PARAMS).id != decide(inputs(), PARAMS).id


def test_the_record_names_no_trader() -> None:
    made = inputs()
    record = decide(made, PARAMS).to_json()
    for item in made.voters:
        assert item.address not in record
        assert item.address in made.to_json()


def test_the_flat_columns_follow_from_the_record() -> None:
    for made in (inputs(), inputs(voters(2)), inputs(risk=None, book=None)):
        decision = decide(made, PARAMS)
        columns = columns_of(decision.to_json())
        assert (columns["id"], columns["symbol"], columns["reasoning"]) == (decision.id, "BTC", decision.reasoning)
        assert columns["agreement_pct"] == decision.agreement_pct
        assert columns["ev_estimate"] == (None if decision.ev is None else decision.ev.net_r)
        assert [(gate["name"], gate["passed"]) for gate in columns["gates"]] == [
            (result.name, result.passed) for result in decision.gates
        ]


def test_what_arrived_between_a_deadline_and_its_timer_is_fresh() -> None:
    ahead = replace(inputs().book, received_ms=NOW + 300, time_ms=NOW + 260)  # type: ignore[type-var]
    decision = decided(book=ahead, risk=risk(as_of_ms=NOW + 200), feed_last_frame_ms=NOW + 300)
    assert decision.decision_type is DecisionType.SIGNAL


def test_a_decision_is_written_once_per_change_of_voters_and_verdicts() -> None:
    made = inputs()
    first = assess(made, PARAMS)
    key = decision_key(made, first)
    later = replace(made, now_ms=NOW + 500, trigger_event_id="p0-9")
    assert should_write(None, made, first)
    assert not should_write(key, later, assess(later, PARAMS))
    for changed in (inputs(voters(4)), inputs(three(SHORT)), inputs(feed_last_frame_ms=NOW - 11_000)):
        assert should_write(key, changed, assess(changed, PARAMS))


def test_the_key_of_a_stored_record_is_the_key_it_was_written_with() -> None:
    for made in (inputs(), inputs(voters(2)), inputs(risk=None), inputs(voters(3, 3))):
        decision = decide(made, PARAMS)
        assert stored_key(made, decision.to_json()) == decision_key(made, decision)


def test_the_record_is_canonical_json_with_numbers_as_decimal_strings() -> None:
    record = json.loads(decided().to_json())
    assert list(record) == sorted(record)
    assert record["snapshot_version"] == "1"
    assert record["gates"][1] == {
        "detail": "3 agreeing traders, at least 3 are needed",
        "name": "min_traders",
        "passed": True,
        "threshold": "3",
        "value": "3",
    }


FLOATS = st.floats(0.0, 1.0, allow_nan=False)


@st.composite
def scenes(draw: st.DrawFn) -> DecisionInputs:
    """Votes of either side at prices around the mid, books of any depth, free funding."""
    sides = draw(st.lists(st.sampled_from(SIDES), min_size=3, max_size=7))
    found = [
        voter(
            number,
            side,
            price=MID * (1 + Decimal(draw(st.integers(-60, 60))) / 10_000),
            notional=Decimal(draw(st.integers(1, 500))) * 1000,
            m=draw(st.floats(-0.3, 0.9)),
            kappa=draw(st.floats(2.0, 80.0)),
            voted_at_ms=NOW - draw(st.integers(0, 200_000)),
        )
        for number, side in enumerate(sides, 1)
    ]
    regime = replace(inputs().regime, regime=draw(st.sampled_from(list(Regime))))  # type: ignore[type-var]
    return inputs(ordered(found), rho=draw(FLOATS), regime=regime, funding_rate_hourly=0.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(scenes())
def test_mirrored_inputs_give_the_mirrored_decision(made: DecisionInputs) -> None:
    one, other = decide(made, PARAMS), decide(mirrored(made), PARAMS)
    near = [r for r in one.gates if r.value is not None and r.threshold and abs(r.value / r.threshold - 1) <= 0.01]
    assume(all(result.name in ("min_traders", "supermajority") for result in near))
    assume(one.ev is None or one.ev.p_win is None or abs(one.ev.p_win / 0.55 - 1) > 0.2 or not one.passed_gates)
    assert other.direction.sign == -one.direction.sign
    assert [r.passed for r in other.gates] == [r.passed for r in one.gates]
    assert other.decision_type is one.decision_type


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=5), FLOATS, st.integers(1, 1000))
def test_an_extra_independent_voter_within_the_bound_never_lowers_k(
    thousands: list[int], rho: float, extra_thousands: int
) -> None:
    found = [voter(number, notional=Decimal(1000 * usd)) for number, usd in enumerate(thousands, 1)]
    before = decide(inputs(ordered(found), rho=rho), PARAMS)
    joined = ordered([*found, voter(9, notional=Decimal(1000 * extra_thousands))])
    independent = [replace(p, rho=0.0, n_buckets=10**9) for p in pairs(joined, 0.0) if "0x9" in (p.addr_a, p.addr_b)]
    after = decide(inputs(joined, pairs=(*pairs(found, rho), *independent)), PARAMS)
    assert before.effective_k is not None
    assert after.effective_k is not None
    total = sum(vote.weight or 0.0 for vote in before.votes)
    extra = next(vote.weight or 0.0 for vote in after.votes if vote.voted_at_ms == NOW - 9000)
    assume(extra <= 2 * total / max(1e-12, before.effective_k - 1))
    assert after.effective_k >= before.effective_k - 1e-6


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SIDES),
    st.floats(0.0, 20.0),
    st.floats(0.0, 20.0),
    st.floats(-0.001, 0.001),
    st.floats(0.0, 0.001),
)
def test_a_dearer_cost_never_raises_net_ev(
    side: Direction, fee: float, more_fee: float, rate: float, more_rate: float
) -> None:
    def net(taker: float, funding: float) -> float:
        decision = decided(three(side), taker_fee_bps=taker, funding_rate_hourly=funding)
        assert decision.ev is not None
        assert decision.ev.net_r is not None
        return decision.ev.net_r

    base = net(fee, rate)
    assert net(fee + more_fee, rate) <= base + 1e-12
    assert net(fee, rate + side.sign * more_rate) <= base + 1e-12


def test_a_funding_credit_is_never_counted() -> None:
    free = decided(three(SHORT), funding_rate_hourly=0.0)
    credit = decided(three(SHORT), funding_rate_hourly=0.001)
    assert free.ev is not None
    assert credit.ev is not None
    assert credit.ev.net_r == free.ev.net_r


def test_votes_of_one_instant_in_any_order_give_the_same_decision() -> None:
    found = [voter(number, voted_at_ms=NOW - 1000) for number in (1, 2, 3)]
    records = {decide(inputs(ordered(order)), PARAMS).to_json() for order in itertools.permutations(found)}
    assert len(records) == 1


def test_settings_are_hashed_by_value() -> None:
    assert settings_hash(Params()) == settings_hash(Params())
    assert settings_hash(Params(risk=RiskParams(cooldown_s=301.0))) != settings_hash(Params())
