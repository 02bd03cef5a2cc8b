"""Episodes: worked examples of the specification, every way to end, what may be learnt from (spec 1.3)."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trader_builders import ALICE, T0, dec, fill, history, mirrored, script

from sigmapilot_core.domain.events import Direction, Fill, Source
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.traders import episodes as step
from sigmapilot_core.domain.traders.codec import dump_state, load_state
from sigmapilot_core.domain.traders.episode import ClosedReason, clamp_r, r_multiple, vwap_of
from sigmapilot_core.domain.traders.episodes import EpisodeState
from sigmapilot_core.domain.traders.history import build_history
from sigmapilot_core.domain.venue import FundingPayment

WEEK = 168 * HOUR_MS

orders = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 4), st.integers(80, 120)), min_size=1, max_size=40
)


def opened(*fills: Fill, stop: float | None = 0.01) -> EpisodeState:
    return history(list(fills), stop=stop).states[(ALICE, "BTC")]


def test_worked_example_of_two_entries_and_two_exits() -> None:
    (e,) = history(script(("buy", 1, 100), ("buy", 1, 110), ("sell", 1, 120), ("sell", 1, 90))).episodes
    assert (e.entry_vwap, e.exit_vwap, e.size, e.realised) == (105, 105, 2, 0)
    assert e.risk_usd == pytest.approx(2.10)
    assert e.r_gross == 0
    assert e.closed_reason is ClosedReason.FULL_CLOSE
    assert (e.entry_fill_count, e.exit_fill_count, e.add_count) == (2, 2, 1)


def test_worked_example_of_a_flip_clamps_r_and_opens_a_short() -> None:
    done = history(script(("buy", 2, 100), ("sell", 3, 103)))
    (e,) = done.episodes
    assert (e.r_gross, e.r_gross_unclamped) == (2, 3)
    assert e.closed_reason is ClosedReason.DIRECTION_FLIP
    short = done.states[(ALICE, "BTC")].open
    assert short is not None
    assert (short.direction, short.size, short.entry_vwap) == (Direction.SHORT, 1, 103)


def test_size_is_the_largest_position_reached() -> None:
    (e,) = history(script(("buy", 3, 100), ("sell", 2, 100), ("buy", 1, 100), ("sell", 2, 100))).episodes
    assert e.size == 3


def test_result_r_is_after_fees_and_funding_and_gross_is_not() -> None:
    fills = [fill("buy", 1, 100, 0, fee=dec("0.2")), fill("sell", 1, 101, 10, fee=dec("0.1"))]
    paid = FundingPayment(ALICE, "BTC", T0 + 5, dec("-0.2"), dec(1), 0.0001)
    (e,) = history(fills, funding=[paid]).episodes
    assert e.r_gross == pytest.approx(1.0)  # 1 / (100 x 1 x .01)
    assert e.result_r == pytest.approx(0.5)  # (1 - .3 - .2) / 1
    assert (e.net_pnl, e.fees_estimated) == (dec("0.5"), False)


def test_missing_fees_are_estimated_at_the_base_tier_and_marked() -> None:
    fills = [fill("buy", 1, 100, 0, fee=None), fill("sell", 1, 100, 1, fee=None, crossed=False)]
    (e,) = history(fills).episodes
    assert e.fees == dec("0.06")  # 100 x 4.5 bps taking + 100 x 1.5 bps making
    assert e.fees_estimated


@pytest.mark.parametrize(("crossed", "fee"), [(True, "0.045"), (False, "0.015")])
def test_taking_and_making_are_estimated_at_their_own_rates(crossed: bool, fee: str) -> None:
    now_open = opened(fill("buy", 1, 100, fee=None, crossed=crossed)).open
    assert now_open is not None
    assert now_open.fees == dec(fee)


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_one_estimated_fee_marks_the_whole_episode(unknown: int) -> None:
    fees = [None if i == unknown else dec(0) for i in range(3)]
    fills = [fill(side, sz, 100, i, fee=fees[i]) for i, (side, sz) in enumerate([("buy", 1), ("buy", 1), ("sell", 2)])]
    assert history(fills).episodes[0].fees_estimated


def test_a_flip_shares_its_fee_by_size() -> None:
    done = history([fill("buy", 2, 100), fill("sell", 3, 100, 1, fee=dec("0.3"))])
    short = done.states[(ALICE, "BTC")].open
    assert done.episodes[0].fees == dec("0.2")
    assert short is not None
    assert short.fees == dec("0.1")


def test_stop_fraction_is_the_one_in_force_at_the_opening() -> None:
    stops = {T0: 0.01, T0 + 1000: 0.05, T0 + 2000: 0.09}
    fills = script(("buy", 1, 100), ("buy", 1, 100), ("sell", 2, 101))
    done = build_history(fills, sz_decimals={"BTC": 3}, stop_at=lambda _coin, ms: stops[ms], assume_flat=True)
    assert done.episodes[0].stop_fraction == 0.01


@pytest.mark.parametrize("stop", [None, 0.0, -0.01, float("nan"), float("inf")])
def test_r_is_unknown_without_a_positive_finite_stop(stop: float | None) -> None:
    (e,) = history(script(("buy", 1, 100), ("sell", 1, 101)), stop=stop).episodes
    assert (e.risk_usd, e.r_gross, e.result_r, e.r_gross_unclamped) == (None, None, None, None)
    assert not e.learnable


def test_an_old_position_is_closed_at_the_mark_of_its_deadline() -> None:
    fills = [fill("buy", 2, 100), fill("sell", 1, 101, HOUR_MS), fill("sell", 1, 150, WEEK + 5)]
    (e,) = history(fills, mark_at=lambda _coin, ms: dec(102) if ms == T0 + WEEK else None).episodes
    assert (e.closed_reason, e.closed_at_ms) == (ClosedReason.TIMEOUT, T0 + WEEK)
    assert e.realised == 3  # 1 x (101 - 100) + 1 x (102 - 100)
    assert e.exit_vwap == dec("101.5")
    assert e.learnable


def test_the_rest_of_a_timed_out_position_is_ignored_until_flat() -> None:
    fills = [fill("buy", 2, 100), fill("buy", 1, 100, WEEK + 1), fill("sell", 3, 90, WEEK + 2)]
    again = [fill("buy", 1, 100, WEEK + 3), fill("sell", 1, 101, WEEK + 4)]
    done = history(fills + again, mark_at=lambda _coin, _ms: dec(100))
    assert [(e.closed_reason, e.realised) for e in done.episodes] == [
        (ClosedReason.TIMEOUT, 0),
        (ClosedReason.FULL_CLOSE, 1),
    ]


def test_a_flip_of_an_ignored_position_opens_an_episode() -> None:
    fills = [fill("buy", 2, 100), fill("sell", 5, 90, WEEK + 1)]
    done = history(fills, mark_at=lambda _coin, _ms: dec(100))
    now_open = done.states[(ALICE, "BTC")].open
    assert now_open is not None
    assert (now_open.direction, now_open.size) == (Direction.SHORT, 3)


def test_a_timer_and_a_late_fill_end_an_episode_alike() -> None:
    late = history([fill("buy", 1, 100), fill("sell", 1, 90, WEEK + 9)], mark_at=lambda _coin, _ms: dec(101))
    _, by_timer = step.on_mark(opened(fill("buy", 1, 100)), T0 + WEEK, dec(101))
    assert by_timer.closed == late.episodes


def test_a_timeout_of_a_position_without_entry_price_has_unknown_pnl_even_at_a_mark() -> None:
    done = history([fill("buy", 1, 100, start=2)], until_ms=T0 + WEEK, mark_at=lambda _coin, _ms: dec(100))
    assert (done.episodes[0].realised, done.episodes[0].r_gross) == (None, None)


def test_a_timeout_without_a_mark_has_unknown_pnl() -> None:
    (e,) = history([fill("buy", 1, 100)], until_ms=T0 + WEEK).episodes
    assert (e.closed_reason, e.realised, e.learnable) == (ClosedReason.TIMEOUT, None, False)


def test_a_history_ends_only_what_is_overdue_at_its_end() -> None:
    fills = [fill("buy", 1, 100), fill("buy", 1, 100, 5, coin="ETH"), fill("buy", 1, 100, coin="SOL")]
    flat_again = fill("sell", 1, 101, 1, coin="SOL")
    done = history([*fills, flat_again], until_ms=T0 + WEEK, mark_at=lambda _coin, _ms: dec(100))
    assert [(e.coin, e.closed_reason) for e in done.episodes] == [
        ("SOL", ClosedReason.FULL_CLOSE),
        ("BTC", ClosedReason.TIMEOUT),
    ]
    assert done.states[(ALICE, "ETH")].open is not None


def test_one_millisecond_before_the_deadline_nothing_ends() -> None:
    _, output = step.on_mark(opened(fill("buy", 1, 100)), T0 + WEEK - 1, dec(101))
    assert output.closed == ()


def test_a_liquidation_fill_that_closes_names_the_reason() -> None:
    (e,) = history([fill("buy", 1, 100), fill("sell", 1, 80, 1, is_liquidation=True)]).episodes
    assert e.closed_reason is ClosedReason.LIQUIDATION
    assert e.learnable


def test_a_vanished_position_is_closed_at_the_mark_as_reconciled_and_not_learnt() -> None:
    state, output = step.on_snapshot(
        opened(fill("buy", 1, 100)), ALICE, "BTC", dec(0), None, T0 + 9, sz_decimals=3, mark_px=dec(101)
    )
    (e,) = output.closed
    assert (e.closed_reason, e.realised, e.r_gross, e.learnable) == (ClosedReason.RECONCILED, 1, 1.0, False)
    assert (state.open, state.ledger.position, state.ledger.gap_count) == (None, 0, 1)


def test_a_position_taken_over_by_the_venue_is_a_liquidation() -> None:
    _, output = step.on_snapshot(
        opened(fill("buy", 1, 100)), ALICE, "BTC", dec(0), None, T0 + 9, sz_decimals=3, is_liquidation=True
    )
    assert (output.closed[0].closed_reason, output.closed[0].realised) == (ClosedReason.LIQUIDATION, None)


def test_a_start_position_of_zero_ends_a_vanished_position() -> None:
    fills = [fill("buy", 1, 100), fill("buy", 2, 100, 1, start=0), fill("sell", 2, 101, 2)]
    first, second = history(fills).episodes
    assert (first.closed_reason, first.realised, first.is_gap) == (ClosedReason.RECONCILED, None, True)
    assert (second.realised, second.learnable) == (2, True)


def test_a_gap_marks_the_open_episode_and_keeps_it_from_learning() -> None:
    done = history([fill("buy", 1, 100), fill("sell", 3, 101, 1, start=3)])
    (e,) = done.episodes
    assert (e.is_gap, e.learnable, e.r_gross, done.gap_count) == (True, False, None, 1)


def test_a_position_met_through_a_start_position_is_mid_life() -> None:
    (e,) = history([fill("sell", 5, 101, start=5)]).episodes
    assert (e.first_seen_mid_life, e.entry_vwap, e.realised, e.learnable) == (True, None, None, False)


def test_a_position_met_through_a_snapshot_has_pnl_but_is_not_learnt() -> None:
    state, _ = step.on_snapshot(None, ALICE, "BTC", dec(2), dec(100), T0, sz_decimals=3)
    _, output = step.on_fill(state, fill("sell", 2, 103, 5), sz_decimals=3, stop_fraction=0.01)
    (e,) = output.closed
    assert (e.realised, e.entry_vwap, e.first_seen_mid_life, e.learnable) == (6, 100, True, False)


def test_an_account_that_nobody_saw_flat_opens_mid_life() -> None:
    (e,) = history(script(("buy", 1, 100), ("sell", 1, 101)), assume_flat=False).episodes
    assert e.first_seen_mid_life


def test_a_flat_snapshot_makes_the_next_episode_learnable() -> None:
    state, _ = step.on_snapshot(None, ALICE, "BTC", dec(0), None, T0, sz_decimals=3)
    state, _ = step.on_fill(state, fill("buy", 1, 100), sz_decimals=3, stop_fraction=0.01)
    _, output = step.on_fill(state, fill("sell", 1, 101, 1), sz_decimals=3, stop_fraction=0.01)
    assert output.closed[0].learnable


def test_an_agreeing_snapshot_changes_nothing() -> None:
    state = opened(fill("buy", 1, 100))
    after, output = step.on_snapshot(state, ALICE, "BTC", dec("1.001"), dec(100), T0 + 9, sz_decimals=3)
    assert after == state
    assert output.closed == ()


def test_a_contradicting_snapshot_marks_the_episode_and_takes_over_position_and_entry() -> None:
    state, output = step.on_snapshot(opened(fill("buy", 1, 100)), ALICE, "BTC", dec(4), dec(110), T0 + 9, sz_decimals=3)
    assert output.is_gap
    assert state.open is not None
    assert (state.open.is_gap, state.ledger.position, state.ledger.avg_entry) == (True, 4, 110)


def test_one_backfilled_fill_makes_the_episode_backfilled_and_known_since_its_latest_fill() -> None:
    fills = [
        fill("buy", 1, 100, source=Source.BACKFILL, known_since_ms=50),
        fill("sell", 1, 101, 1, known_since_ms=90),
    ]
    (e,) = history(fills).episodes
    assert (e.source, e.known_since_ms) == (Source.BACKFILL, 90)


def test_ids_are_the_same_in_every_run_and_differ_between_episodes() -> None:
    fills = script(("buy", 1, 100), ("sell", 2, 101), ("buy", 1, 100))
    ids = [e.id for e in history(fills).episodes]
    assert ids == [e.id for e in history(fills).episodes]
    assert len(set(ids)) == 2


def test_duplicates_and_order_of_delivery_do_not_change_the_history() -> None:
    fills = script(("buy", 1, 100), ("buy", 1, 104), ("sell", 1, 101), ("sell", 1, 99))
    assert history([*reversed(fills), *fills]).episodes == history(fills).episodes


def test_funding_after_the_close_belongs_to_no_episode() -> None:
    payment = FundingPayment(ALICE, "BTC", T0 + 9000, dec(-1), dec(1), 0.0)
    (e,) = history(script(("buy", 1, 100), ("sell", 1, 101)), funding=[payment]).episodes
    assert e.funding is None


@pytest.mark.parametrize(("after_ms", "expected"), [(-1, None), (0, None), (1, dec(-1))])
def test_funding_up_to_the_opening_instant_was_for_an_earlier_position(after_ms: int, expected: Decimal | None) -> None:
    payment = FundingPayment(ALICE, "BTC", T0 + after_ms, dec(-1), dec(1), 0.0)
    state, _ = step.on_funding(opened(fill("buy", 1, 100)), payment)
    assert state.open is not None
    assert state.open.funding == expected


def test_a_fill_names_the_episode_it_belongs_to() -> None:
    state, first = step.on_fill(None, fill("buy", 1, 100, start=0), sz_decimals=3, stop_fraction=None)
    _, second = step.on_fill(state, fill("sell", 1, 100, 1), sz_decimals=3, stop_fraction=None)
    assert first.opened is not None
    assert first.episode_id == second.episode_id == first.opened.id == second.closed[0].id


def realised_by_cash(fills: list[Fill]) -> list[Decimal]:
    """PnL of each completed stretch between flats or flips, from cash alone: the price of a flip splits the fill."""
    position = cash = Decimal(0)
    stretches: list[Decimal] = []
    for f in fills:
        after = position + f.signed_size
        if position and (not after or (after > 0) != (position > 0)):
            stretches.append(cash + position * f.px)
            position, cash = after, -after * f.px
        else:
            position, cash = after, cash - f.signed_size * f.px
    return stretches


@given(orders)
def test_realised_pnl_is_the_cash_difference_between_flats(rows: list[tuple[str, int, int]]) -> None:
    fills = script(*rows)
    assert [e.realised for e in history(fills).episodes] == realised_by_cash(fills)


@given(orders)
def test_buys_for_sells_negate_the_pnl_and_keep_the_rest(rows: list[tuple[str, int, int]]) -> None:
    fills = script(*rows)
    for a, b in zip(history(fills).episodes, history(mirrored(fills)).episodes, strict=True):
        assert (a.size, a.entry_vwap, a.exit_vwap, a.risk_usd) == (b.size, b.entry_vwap, b.exit_vwap, b.risk_usd)
        assert a.realised == -b.realised  # type: ignore[operator]
        assert a.r_gross == -b.r_gross  # type: ignore[operator]
        assert a.direction.sign == -b.direction.sign
        assert a.closed_reason is b.closed_reason


@given(orders, st.integers(0, 40))
def test_a_history_may_be_cut_anywhere_and_stored_between(rows: list[tuple[str, int, int]], cut: int) -> None:
    fills = script(*rows)
    whole = history(fills)
    first = history(fills[:cut])
    stored = {key: load_state(dump_state(state)) for key, state in first.states.items()}
    second = history(fills[cut:], states=stored)
    assert first.episodes == whole.episodes[: len(first.episodes)]
    assert first.episodes + second.episodes == whole.episodes
    assert (first.states | second.states) == whole.states


def test_histories_of_traders_and_coins_do_not_touch_each_other() -> None:
    mine = script(("buy", 1, 100), ("sell", 1, 101))
    theirs = [dataclasses.replace(f, user="0x" + "b" * 40, is_buy=not f.is_buy) for f in mine]
    other = [dataclasses.replace(f, coin="ETH") for f in mine]
    done = history(mine + theirs + other)
    assert sorted((e.user[2], e.coin, int(e.realised or 0)) for e in done.episodes) == [
        ("a", "BTC", 1),
        ("a", "ETH", 1),
        ("b", "BTC", -1),
    ]


@pytest.mark.parametrize(
    ("pnl", "risk", "expected"),
    [
        (250.0, 500.0, (0.5, 0.5)),
        (1500.0, 500.0, (2.0, 3.0)),
        (-1500.0, 500.0, (-2.0, -3.0)),
        (100.0, 0.0, (None, None)),
        (100.0, -1.0, (None, None)),
        (100.0, None, (None, None)),
        (None, 500.0, (None, None)),
        (float("nan"), 500.0, (None, None)),
    ],
)
def test_r_is_pnl_over_risk_clamped_and_unknown_without_risk(
    pnl: float | None, risk: float | None, expected: tuple[float | None, float | None]
) -> None:
    assert r_multiple(pnl, risk, 2.0) == expected


def test_clamp_refuses_a_nan() -> None:
    with pytest.raises(ValueError, match="r must be a number"):
        clamp_r(float("nan"))


def test_vwap_weighs_prices_by_size() -> None:
    assert vwap_of([(dec(1), dec(50_000)), (dec(3), dec(52_000))]) == 51_500  # (50 + 156) / 4 thousand


def test_vwap_of_nothing_is_unknown() -> None:
    assert vwap_of([]) is None
