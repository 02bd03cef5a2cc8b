"""The position step: averages, flips, start positions, conservation (spec 1.3)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trader_builders import ALICE, dec, fill, script

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.folds import fold
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.ledger import Action, LedgerChange, LedgerState

LOTS = 3

orders = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 5), st.integers(50, 150)), min_size=1, max_size=40
)


def run(fills: list[Fill], state: LedgerState | None = None) -> tuple[LedgerState, list[LedgerChange]]:
    after, changes = fold(lambda s, f: ledger.step(s, f, LOTS), state, fills)
    assert after is not None
    return after, changes


def flat_start(fills: list[Fill]) -> tuple[LedgerState, list[LedgerChange]]:
    return run(fills, ledger.flat(ALICE, "BTC"))


def test_increase_reweights_the_average_entry() -> None:
    state, _ = flat_start(script(("buy", 1, 100), ("buy", 3, 120)))
    assert state.avg_entry == 115  # (100 + 360) / 4


def test_reduction_realises_against_the_average_and_keeps_it() -> None:
    state, changes = flat_start(script(("buy", 1, 100), ("buy", 1, 110), ("sell", 1, 120)))
    assert changes[-1].realised == 15  # 120 - 105
    assert (state.position, state.avg_entry) == (1, 105)


def test_a_reduction_removes_its_share_of_the_cost() -> None:
    state, changes = flat_start(script(("buy", 2, 100), ("buy", 3, 120), ("sell", 3, 130)))
    assert changes[-1].realised == 54  # 3 x (130 - 112)
    assert (state.cost, state.avg_entry) == (224, 112)


@given(orders)
def test_a_reduction_keeps_the_average_entry(rows: list[tuple[str, int, int]]) -> None:
    state = ledger.flat(ALICE, "BTC")
    for f in script(*rows):
        before = state.avg_entry
        state, change = ledger.step(state, f, LOTS)
        if change.action is Action.REDUCE:
            assert before is not None
            assert state.avg_entry is not None
            assert abs(state.avg_entry - before) < Decimal("1e-11")


def test_short_realises_with_the_opposite_sign() -> None:
    _, changes = flat_start(script(("sell", 2, 100), ("buy", 2, 90)))
    assert changes[-1].realised == 20  # 2 x (100 - 90)


def test_through_zero_closes_all_and_opens_the_rest_at_the_fill_price() -> None:
    state, changes = flat_start(script(("buy", 2, 100), ("sell", 3, 103)))
    assert changes[-1].action is Action.FLIP
    assert (changes[-1].closed, changes[-1].opened, changes[-1].realised) == (2, 1, 6)
    assert (state.position, state.avg_entry) == (-1, 103)


def test_actions_name_what_a_fill_did() -> None:
    _, changes = flat_start(script(("buy", 2, 1), ("buy", 1, 1), ("sell", 1, 1), ("sell", 3, 1), ("buy", 1, 1)))
    assert [c.action for c in changes] == [Action.OPEN, Action.INCREASE, Action.REDUCE, Action.FLIP, Action.CLOSE]


@given(orders)
def test_position_is_the_sum_of_signed_sizes(rows: list[tuple[str, int, int]]) -> None:
    fills = script(*rows)
    state, changes = flat_start(fills)
    assert state.position == sum(f.signed_size for f in fills)
    assert all(c.after == c.before + f.signed_size for c, f in zip(changes, fills, strict=True))


@given(orders)
def test_realised_plus_cost_is_the_cash_paid_to_the_last_digit(rows: list[tuple[str, int, int]]) -> None:
    fills = script(*rows)
    state, _ = flat_start(fills)
    paid = sum((f.signed_size * f.px for f in fills), Decimal(0))
    assert state.cost is not None
    assert state.cost - state.realised == paid


def test_ten_thousand_partial_reductions_leave_no_rounding_behind() -> None:
    fills = script(*[("buy", 3, 100.1), ("sell", 1, 99.7)] * 5000, ("sell", 10_000, 100))
    state, _ = flat_start(fills)
    assert state.position == 0
    assert state.realised == -sum(f.signed_size * f.px for f in fills)


def test_equal_start_position_is_no_gap() -> None:
    state, changes = flat_start([fill("buy", 1, 100, start=0), fill("buy", 1, 100, 1, start=1)])
    assert not changes[-1].is_gap
    assert state.gap_count == 0


def test_start_position_one_lot_off_is_adopted_without_a_gap() -> None:
    state, changes = flat_start([fill("buy", 1, 100), fill("sell", "1.001", 101, 1, start="1.001")])
    assert (state.position, state.gap_count) == (0, 0)  # without adopting, a short of one lot would stand here
    assert changes[-1].action is Action.CLOSE


def test_start_position_two_lots_off_rebases_and_counts_the_gap() -> None:
    state, changes = flat_start([fill("buy", 1, 100), fill("sell", 1, 101, 1, start="1.002")])
    assert changes[-1].is_gap
    assert (state.position, state.gap_count) == (dec("0.002"), 1)


def test_pnl_of_a_rebased_position_is_unknown_until_it_is_flat() -> None:
    fills = [fill("buy", 1, 100), fill("sell", 1, 101, 1, start=3), fill("sell", 2, 101, 2), fill("buy", 1, 90, 3)]
    state, changes = flat_start(fills)
    assert [c.realised for c in changes] == [0, None, None, 0]
    assert state.avg_entry == 90


def test_first_fill_takes_its_start_position_as_given() -> None:
    state, changes = run([fill("sell", 1, 100, start=5)])
    assert (state.position, state.cost, changes[0].is_gap) == (4, None, False)


def test_fills_alone_do_not_anchor_an_unknown_account() -> None:
    state, _ = run([fill("buy", 1, 100)])
    assert not state.is_anchored
    state, _ = run([fill("buy", 1, 100, 1, start=1)], state)
    assert state.is_anchored


def test_priming_gives_position_and_average_entry() -> None:
    state = ledger.prime(ALICE, "BTC", dec(-2), dec(50), 7)
    assert (state.position, state.avg_entry, state.time_ms) == (-2, 50, 7)


def test_priming_without_an_entry_price_leaves_the_cost_unknown() -> None:
    assert ledger.prime(ALICE, "BTC", dec(2), None, 7).cost is None


def test_a_fill_older_than_the_last_is_marked_late() -> None:
    _, changes = flat_start([fill("buy", 1, 100, 5), fill("buy", 1, 100, 4)])
    assert [c.is_late for c in changes] == [False, True]


@pytest.mark.parametrize(("px", "sz"), [("NaN", 1), ("Infinity", 1), (0, 1), (100, 0), (100, "NaN"), (100, -1)])
def test_a_price_or_size_that_is_no_positive_number_is_refused(px: object, sz: object) -> None:
    with pytest.raises(ValueError, match="must be finite and positive"):
        ledger.step(None, fill("buy", sz, px), LOTS)


def test_a_fill_of_another_coin_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong to the ledger"):
        ledger.step(ledger.flat(ALICE, "ETH"), fill("buy", 1, 1), LOTS)


def test_ordered_fills_keep_arrival_order_within_a_millisecond_and_drop_repeats() -> None:
    late, first, second = fill("buy", 1, 1, 9), fill("buy", 1, 1, 3, tid=8), fill("sell", 1, 1, 3, tid=2)
    assert ledger.ordered_fills([late, first, second, first]) == [first, second, late]
