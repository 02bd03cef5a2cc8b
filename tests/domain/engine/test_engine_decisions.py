"""From frames to decisions: votes, expiry, deduplication of records, outcomes (spec 2, 4.3, 7)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_builders import (
    MARKET_MAKER,
    POOL,
    T0,
    World,
    account,
    book,
    figures,
    replayed,
    snapshot,
    trader,
    with_figures,
)

from sigmapilot_core.domain.consensus.decision import recompute
from sigmapilot_core.domain.consensus.outcome import ClosedReason
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.consensus.votes import VoteChange
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BarClosed,
    BookUpdated,
    CoinReconciled,
    ContextUpdated,
    FeedStatus,
    GapReported,
)
from sigmapilot_core.domain.engine.outputs import (
    DecisionMade,
    FollowedMoved,
    NextTimer,
    OutcomeClosed,
    VoteChanged,
)
from sigmapilot_core.domain.events import Bar, Direction
from sigmapilot_core.domain.params import MINUTE_MS, Params
from sigmapilot_core.domain.traders.posterior import Posterior
from sigmapilot_core.domain.venue import AssetContext


def types(world: World) -> list[str]:
    return [made.decision.decision_type.value for made in world.said(DecisionMade)]


@pytest.mark.parametrize(("side", "direction"), [("buy", Direction.LONG), ("sell", Direction.SHORT)])
def test_three_independent_good_traders_make_a_signal(side: str, direction: Direction) -> None:
    made = World.ready().consensus(side)
    assert (made.decision.decision_type, made.decision.direction) == (DecisionType.SIGNAL, direction)


def test_a_decision_can_be_recomputed_from_what_it_carries() -> None:
    made = World.ready().consensus()
    assert recompute(made.inputs.to_json(), Params()) == made.decision.to_json()


def test_now_is_the_receive_time_of_the_causing_event() -> None:
    world = World.ready()
    made = world.consensus()
    assert made.inputs.now_ms == world.now_ms
    assert made.inputs.trigger_event_id == f"p0-{world.seq}"


def test_replaying_the_same_events_gives_identical_outputs() -> None:
    world = World.ready()
    world.consensus()
    world.wait(60)
    world.fill(POOL[0], "sell", 2)
    world.fill(POOL[3], "sell", 1)
    world.wait(400)
    assert len(world.said(DecisionMade)) > 5
    assert replayed(world.events) == world.outputs


def test_votes_of_one_instant_in_any_order_give_the_same_decision() -> None:
    records = set()
    for order in itertools.permutations(POOL[:3]):
        world = World.ready()
        trades = {user: world.trade(user, "buy") for user in POOL[:3]}
        world.send(*(trades[user] for user in order))
        records.add(world.said(DecisionMade)[-1].decision.to_json())
    assert len(records) == 1


def test_an_expiring_vote_is_evaluated_at_its_deadline() -> None:
    world = World.ready()
    world.consensus()
    first_vote_ms = T0 + 1000
    world.wait(148)
    assert types(world)[-1] == "signal"
    world.wait(1)
    expired = [change for change in world.said(VoteChanged) if change.change is VoteChange.EXPIRED]
    assert [change.user for change in expired] == [POOL[0]]
    made = world.said(DecisionMade)[-1]
    assert (made.inputs.now_ms, made.decision.decision_type) == (first_vote_ms + 150_001, DecisionType.SKIP)


def test_a_trade_of_anybody_moves_the_watermark_and_expires_votes() -> None:
    world = World.ready()
    world.fill(POOL[0], "buy")
    stranger = replace(world.trade(POOL[0], "buy"), buyer=trader(99), time_ms=T0 + 150_001)
    changes = [output for output in world.send(stranger) if isinstance(output, VoteChanged)]
    assert [change.change for change in changes] == [VoteChange.EXPIRED]


def test_the_next_timer_is_asked_for_only_when_it_moves() -> None:
    world = World.ready()
    asked = [output for output in world.fill(POOL[0], "buy") if isinstance(output, NextTimer)]
    assert [output.deadline_ms for output in asked] == [T0 + 150_001]
    world.now_ms += 1000
    assert not [output for output in world.fill(POOL[1], "buy") if isinstance(output, NextTimer)]


def test_the_same_voters_and_verdicts_are_written_once() -> None:
    world = World.ready()
    world.consensus()
    n = len(types(world))
    world.now_ms += 1000
    world.fill(POOL[0], "buy", "0.01", at_ms=world.now_ms)  # another fill of the same act: cooldown blocks now
    assert types(world)[n:] == ["risk_reject"]
    world.now_ms += 1000
    world.fill(POOL[0], "buy", "0.01", at_ms=world.now_ms)
    assert len(types(world)) == n + 1


def test_a_late_burst_fails_only_freshness() -> None:
    world = World.ready()
    world.now_ms += 600_000
    fast = with_figures(
        with_figures(snapshot(version=2), "BTC"),
        "BTC",
        volatility=replace(figures().volatility, computed_at_ms=world.now_ms, bar_close_ms=world.now_ms),  # type: ignore[type-var]
        regime=replace(figures().regime, computed_at_ms=world.now_ms, bar_close_ms=world.now_ms),  # type: ignore[type-var]
    )
    world.activate(fast)
    world.refresh()
    for number, user in enumerate(POOL[:3]):
        world.fill(user, "buy", at_ms=T0 + 1000 * number)
    decision = world.said(DecisionMade)[-1].decision
    assert decision.agreeing_count == 3
    assert [result.name for result in decision.gates if result.passed is not True] == ["freshness"]


def test_votes_that_were_too_old_on_arrival_never_enter() -> None:
    world = World.ready()
    world.now_ms += 400_000
    world.send(replace(world.trade(POOL[0], "buy"), buyer=trader(99)))
    world.fill(POOL[1], "buy", at_ms=T0)
    assert world.said(VoteChanged) == []


def test_only_the_pool_votes() -> None:
    followed = trader(50)
    world = World.ready(snapshot(tracked=[followed]))
    world.fill(followed, "buy")
    assert world.said(VoteChanged) == []
    assert world.engine.counters.fills == 1


def test_a_coin_below_the_volume_floor_takes_no_votes_and_majors_always_do() -> None:
    quiet = [figures("BTC", day_volume_usd=None), figures("DOGE", 0.1, day_volume_usd=9_999_999.0)]
    world = World.ready(snapshot(assets=quiet))
    world.fill(POOL[0], "buy", coin="DOGE", px="0.1")
    assert world.said(VoteChanged) == []
    world.fill(POOL[0], "buy")
    assert [change.coin for change in world.said(VoteChanged)] == ["BTC"]


def test_closing_withdraws_the_vote_and_is_evaluated() -> None:
    world = World.ready()
    world.consensus()
    world.now_ms += 1000
    world.fill(POOL[0], "sell")
    assert world.said(VoteChanged)[-1].change is VoteChange.WITHDRAWN
    assert types(world)[-1] == "skip"


def test_a_trader_who_leaves_the_pool_loses_his_vote() -> None:
    world = World.ready()
    world.consensus()
    world.activate(snapshot(pool=POOL[1:], tracked=POOL, version=2))
    dropped = [change for change in world.said(VoteChanged) if change.change is VoteChange.DROPPED]
    assert [change.user for change in dropped] == [POOL[0]]
    assert world.said(DecisionMade)[-1].decision.snapshot_version == 2
    assert types(world)[-1] == "skip"


def test_a_shorter_life_expires_votes_on_activation() -> None:
    world = World.ready()
    world.consensus()
    world.wait(100)
    calm = replace(figures().volatility, percentile=10.0)  # type: ignore[type-var]
    world.activate(with_figures(snapshot(), "BTC", volatility=calm))
    world.fill(POOL[4], "buy")
    assert sum(change.change is VoteChange.EXPIRED for change in world.said(VoteChanged)) == 3


def test_a_coin_with_a_gap_is_unknown_until_reconciled() -> None:
    world = World.ready()
    world.apply(GapReported(T0 - 10, T0, "a hole of 10 ms", T0, world.next_seq(), coin="BTC"))
    assert world.consensus().decision.gate("inputs_fresh").passed is None
    world.apply(CoinReconciled("BTC", world.now_ms, world.next_seq()))
    world.now_ms += 1000
    world.fill(POOL[3], "buy")
    assert types(world)[-1] == "signal"


def test_without_an_account_no_decision_passes() -> None:
    world = World()
    world.activate(snapshot())
    for user in POOL:
        world.prime(user)
    for user in POOL[:3]:
        world.fill(user, "buy")
    assert types(world) == ["skip"] * 3


def test_poor_traders_make_no_signal() -> None:
    poor = Posterior(0.0, 41.0, 23.0, 15.0)
    model = snapshot()
    members = tuple(replace(member, posterior=poor) for member in model.slow.pool)
    made = World.ready(replace(model, slow=replace(model.slow, pool=members))).consensus()
    assert [result.name for result in made.decision.gates if result.passed is not True] == ["ev_gate"]


def bar(at_ms: int, high: float, low: float) -> Bar:
    open_ms = (at_ms // MINUTE_MS + 1) * MINUTE_MS
    return Bar("BTC", open_ms, open_ms + MINUTE_MS, 50_000, high, low, 50_000, 1.0)


def test_a_signal_is_followed_to_its_stop() -> None:
    world = World.ready()
    made = world.consensus()
    assert world.said(FollowedMoved)[-1].state.decision_id == made.decision.id
    one = bar(world.now_ms, 50_100, 48_800)
    world.apply(BarClosed(one, one.close_ms, world.next_seq()))
    outcome = world.said(OutcomeClosed)[-1].outcome
    assert (outcome.decision_id, outcome.reason) == (made.decision.id, ClosedReason.STOP)
    assert outcome.gross_r == pytest.approx(-1.0)
    assert made.decision.ev is not None
    assert outcome.result_r == pytest.approx(-1.0 - (made.decision.ev.cost_r or 0))


def test_an_opposite_consensus_ends_what_is_followed() -> None:
    world = World.ready()
    first = world.consensus("buy")
    world.wait(310)
    second = world.consensus("sell", px=50_500, sz=2)
    assert second.decision.direction is Direction.SHORT
    assert second.decision.passed_gates
    assert [(o.outcome.decision_id, o.outcome.reason) for o in world.said(OutcomeClosed)] == [
        (first.decision.id, ClosedReason.OPPOSITE)
    ]


def test_a_coin_without_a_book_subscription_decides_on_the_venue_s_mid() -> None:
    world = World.ready()
    world.apply(FeedStatus("c0", ("BTC",), (), world.now_ms, world.now_ms, world.next_seq()))
    for user in POOL[:3]:
        mark = Decimal(50_000)
        context = AssetContext("BTC", world.now_ms, mark, mark, mark, mark, 5e8, 1.0, 0.00001, 0.0)
        world.apply(ContextUpdated(context, world.now_ms, world.next_seq()))
        world.apply(AccountUpdated(account(world.now_ms), world.now_ms, world.next_seq()))
        world.fill(user, "buy")
    decision = world.said(DecisionMade)[-1].decision
    assert decision.decision_type is DecisionType.SIGNAL
    assert decision.cost is not None
    assert decision.cost.slippage_source.value == "static"


def test_a_book_of_an_unknown_coin_changes_nothing() -> None:
    world = World.ready()
    assert world.apply(BookUpdated(book("NEW"), world.next_seq())) == []


def test_a_snapshot_of_another_mode_is_refused() -> None:
    world = World.ready()
    with pytest.raises(ValueError, match="mode"):
        world.activate(replace(snapshot(version=2), mode="live"))


def test_a_trader_who_is_not_followed_costs_nothing() -> None:
    world = World.ready()
    world.fill(MARKET_MAKER, "buy")
    assert world.engine.counters.fills == 0


def test_a_coin_whose_trades_are_not_heard_is_not_decided_on_whatever_its_books_say() -> None:
    world = World.ready()
    at = (world.now_ms, world.now_ms)
    world.apply(FeedStatus("c0", (), (), *at, world.next_seq(), unheard=("BTC",)))
    for user in POOL[:3]:
        world.now_ms += 1000
        world.apply(BookUpdated(book(at_ms=world.now_ms), world.next_seq()))
        world.apply(AccountUpdated(account(world.now_ms), world.now_ms, world.next_seq()))
        world.fill(user, "buy")
    unheard = world.said(DecisionMade)[-1].decision
    heard_again = world.consensus(users=POOL[3:4]).decision
    gates = [next(g for g in made.gates if g.name == "inputs_fresh") for made in (unheard, heard_again)]
    assert [gate.passed for gate in gates] == [None, True]
    assert "feed: not known" in gates[0].detail
