"""The parts of the feed that do no I/O: placing, asking, dedupe and gaps, deadlines, waiting."""

import asyncio
import random
from decimal import Decimal

import orjson
import pytest
from hl_strategies import json_values, quick
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid import gaps
from sigmapilot_core.adapters.hyperliquid import subscriptions as want
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.gaps import Gap, TradeIntake
from sigmapilot_core.adapters.hyperliquid.intake import Intake
from sigmapilot_core.adapters.hyperliquid.ledger import NO_ANSWER, SubscriptionLedger
from sigmapilot_core.adapters.hyperliquid.liveness import Liveness, LivenessParams, backoff_s
from sigmapilot_core.adapters.hyperliquid.mailbox import Mailbox, MailboxClosed
from sigmapilot_core.adapters.hyperliquid.messages import ErrorMessage
from sigmapilot_core.adapters.hyperliquid.pacing import ManualPace, Spacing
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, read_note
from sigmapilot_core.adapters.hyperliquid.subscriptions import Limits, Shards
from sigmapilot_core.domain.events import Trade

A, B = "0x" + "11" * 20, "0x" + "22" * 20


def trade(at: int, tid: int, coin: str = "BTC") -> Trade:
    return Trade(coin, Decimal(1), Decimal(1), at, tid, "0x0", A, B, True)


@quick
@given(st.lists(st.sampled_from("ABCDEFGHIJ"), max_size=40), st.integers(1, 4))
def test_a_coin_keeps_its_connection_while_it_is_wanted(coins, count):
    shards = Shards(count, Limits())
    first = _homes(shards.plan([want.trades(c) for c in coins]))
    second = _homes(shards.plan([s for c in reversed(coins) for s in (want.bbo(c), want.trades(c))]))
    assert first == second
    sizes = [list(first.values()).count(f"coins-{n}") for n in range(count)]
    assert max(sizes) - min(sizes) <= 1


def _homes(plan) -> dict[str, str]:
    placed = [(s.coin, name) for name, subs in plan.by_connection.items() for s in subs]
    homes = dict(placed)
    assert len(set(placed)) == len(homes)  # one connection for each coin
    return homes


def test_what_exceeds_the_limits_is_named_least_important_last():
    limits = Limits(connections=3, subscriptions=4, users=1)
    wanted = [want.user_fills(A), want.user_fills(B), want.all_mids(), *(want.trades(c) for c in ("X", "Y", "Z"))]
    plan = Shards(2, limits).plan(wanted)
    assert plan.not_covered == (want.user_fills(B), want.trades("Z"))
    assert plan.by_connection["users"] == (want.user_fills(A),)


@pytest.mark.parametrize("count", [0, 10])
def test_a_connection_is_kept_for_accounts(count):
    with pytest.raises(ValueError, match=f"coin_connections is {count}"):
        Shards(count, Limits())


def test_limits_below_one_are_refused():
    with pytest.raises(ValueError, match="users is 0"):
        Limits(users=0)


def ledger_of(*wanted, attempts=2) -> SubscriptionLedger:
    ledger = SubscriptionLedger(ack_timeout_s=10.0, attempts=attempts)
    ledger.want(wanted)
    return ledger


def send_all(ledger: SubscriptionLedger, now: float = 0.0) -> list[tuple[str, str | None]]:
    sent = []
    while (request := ledger.next_request()) is not None:
        ledger.sent(*request, now)
        sent.append((request[0], request[1].coin))
    return sent


def test_what_became_unwanted_while_waiting_is_unsubscribed_once_accepted():
    ledger = ledger_of(want.trades("X"))
    assert send_all(ledger) == [("subscribe", "X")]
    ledger.want([want.trades("Y")])
    assert send_all(ledger) == [("subscribe", "Y")]
    ledger.acknowledge(want.trades("X").key)
    assert send_all(ledger) == [("unsubscribe", "X")]


def test_an_unanswered_subscribe_is_repeated_then_given_up_until_the_next_session():
    ledger = ledger_of(want.trades("X"))
    for now in (0.0, 11.0):
        assert send_all(ledger, now) == [("subscribe", "X")]
        assert ledger.overdue(now + 9.9) == 0
        assert ledger.overdue(now + 10.1) == 1
    assert ledger.refused == {want.trades("X").key: NO_ANSWER}
    assert ledger.is_complete()
    ledger.new_session()
    assert send_all(ledger) == [("subscribe", "X")]


def test_a_refusal_stays_over_sessions_until_it_is_no_longer_wanted():
    ledger = ledger_of(want.trades("X"))
    send_all(ledger)
    ledger.error(ErrorMessage("Invalid subscription {...}", want.trades("X").key))
    ledger.new_session()
    assert send_all(ledger) == []
    ledger.want([])
    ledger.want([want.trades("X")])
    assert send_all(ledger) == [("subscribe", "X")]


@quick
@given(st.text(max_size=60), st.none() | st.just(want.trades("X").key))
def test_no_error_text_upsets_the_ledger(text, key):
    ledger = ledger_of(want.trades("X"), want.user_fills(A))
    send_all(ledger)
    ledger.error(ErrorMessage(text, key))
    ledger.error(ErrorMessage("Cannot track more than 10 total users.", None))
    ledger.error(ErrorMessage("Cannot track more than 10 total users.", None))
    assert len(ledger.refused) == 1


@quick
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=60, unique=True).map(sorted),
    st.integers(0, 59),
    st.integers(0, 59),
    st.integers(1, 30),
)
def test_a_gap_is_told_exactly_when_trades_were_missed(times, lost_at, back_at, replayed):
    trades = [trade(at, at) for at in times]
    lost, back = sorted((min(lost_at, len(trades)), min(back_at, len(trades))))
    intake = TradeIntake()
    intake.expect_history("BTC")
    heard = list(intake.take(trades[:lost]).fresh)
    intake.expect_history("BTC")
    taken = intake.take(trades[max(0, back - replayed) : back])
    missed = set(trades[:back]) - set(heard) - set(taken.fresh)
    if back == 0 or not heard:
        assert not taken.gaps  # nothing to be continuous with
    else:
        assert bool(missed) <= bool(taken.gaps)
        assert not (taken.gaps and taken.duplicates)


def test_the_gap_names_the_instants_between_which_trades_may_be_missing():
    intake = TradeIntake()
    intake.take([trade(5, 1)])
    intake.expect_history("BTC")
    taken = intake.take([trade(9, 2), trade(8, 3)])
    assert taken.gaps == (Gap("BTC", 5, 8),)
    assert taken.is_history


@pytest.mark.parametrize(("time_ms", "is_history"), [(99, True), (3000, True), (3001, False)])
def test_the_first_frame_of_a_coin_without_a_replay_is_live_if_clearly_later_than_the_answer(time_ms, is_history):
    intake = TradeIntake(replay_margin_ms=2000)
    intake.expect_history("BTC")
    intake.answered("BTC", 1000)
    assert intake.take([trade(time_ms, 1)]).is_history is is_history
    assert not intake.take([trade(time_ms + 1, 2)]).is_history


def test_memory_for_duplicates_is_bounded(monkeypatch):
    monkeypatch.setattr(gaps, "REMEMBERED", 3)
    intake = TradeIntake()
    for n in range(1, 6):
        intake.take([trade(n, n)])
    assert [intake.take([trade(n, n)]).duplicates for n in (5, 1)] == [1, 0]


def test_what_is_remembered_of_another_intake_is_what_it_knew_then():
    one, other = TradeIntake(), TradeIntake()
    one.take([trade(1, 1)])
    other.remember(one)
    one.take([trade(2, 2)])
    assert other.take([trade(1, 1), trade(2, 2), trade(3, 3)]).duplicates == 1
    assert one.take([trade(3, 3)]).duplicates == 0


@quick
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_no_frame_upsets_the_intake(raw):
    parsed, frames = Intake().take("c", raw, 5)
    assert len(frames) <= 1
    assert parsed is not None


@quick
@given(st.sampled_from([FrameKind.GAP, FrameKind.LINK]), json_values)
def test_no_note_upsets_its_reader(kind, value):
    try:
        note = read_note(kind, orjson.dumps(value))
    except BadMessage as fault:
        note = fault
    assert note is not None


@pytest.mark.parametrize("failures", [0, 3, 50, 5000])
def test_the_wait_before_a_new_connection_is_drawn_below_a_growing_bound(failures):
    params = LivenessParams(backoff_base_s=1.0, backoff_cap_s=60.0)
    draws = [backoff_s(params, failures, random.Random(n)) for n in range(200)]
    bound = min(60.0, 2.0 ** min(failures, 10))
    assert 0 <= min(draws) < bound * 0.1
    assert bound * 0.9 < max(draws) <= bound


@pytest.mark.parametrize("options", [{"ping_every_s": 50.0}, {"ping_every_s": 0.0}, {"pong_deadline_s": 0.0}])
def test_deadlines_the_venue_would_not_bear_are_refused(options):
    with pytest.raises(ValueError, match="allowed is"):
        LivenessParams(**options)


def test_silence_while_our_own_consumer_held_us_up_says_nothing_about_the_venue():
    alive = Liveness.opened(LivenessParams(stale_after_s={"bbo": 30.0}), 0.0)
    alive.pinged(1.0)
    alive.frame("bbo", 1.0)
    assert alive.fault({"bbo": 0.0}, 40.0) is not None
    alive.held_up(40.0)
    assert alive.fault({"bbo": 0.0}, 41.0) is None


async def test_a_closed_mailbox_is_drained_and_then_ends_and_frees_those_who_wait():
    box: Mailbox[int] = Mailbox(1)
    await box.put(1)
    blocked = asyncio.create_task(box.put(2))
    await asyncio.sleep(0)
    box.close()
    with pytest.raises(MailboxClosed):
        await blocked
    assert await box.get() == 1
    with pytest.raises(MailboxClosed):
        await box.get()


async def test_turns_are_apart_by_the_rate_whoever_asks():
    pace = ManualPace(0.0)
    spacing, at = Spacing(2.0, pace), []

    async def ask() -> None:
        await spacing.turn()
        at.append(pace.now())

    tasks = [asyncio.create_task(ask()) for _ in range(4)]
    await pace.advance(5)
    await asyncio.gather(*tasks)
    assert at == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("build", [lambda: Mailbox(0), lambda: Spacing(0.0, ManualPace())])
def test_a_box_without_room_and_a_rate_of_zero_are_refused(build):
    with pytest.raises(ValueError, match="allowed is"):
        build()
