"""The fast fold of histories against its clear form: the same to the last digit and exponent, at every prefix."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stepwise_history import stepwise_history
from trader_builders import ALICE, T0, dec, fill, script

from sigmapilot_core.domain.events import Fill, Source
from sigmapilot_core.domain.params import HOUR_MS, EpisodeParams
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.account_fold import AccountFold
from sigmapilot_core.domain.traders.episodes import EpisodeState, on_fill
from sigmapilot_core.domain.traders.history import build_history
from sigmapilot_core.domain.venue import FundingPayment

_PARAMS = EpisodeParams()
WEEK = 168 * HOUR_MS
BOB = "0x" + "b" * 40
SIZES = ("1", "1.50", "0.125", "2E+1", "0.00001", "3.1415926535897932384626433832795")
PRICES = ("100", "99.7", "1E+2", "0.00012345", "101.123456789")

acts = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from((ALICE, BOB)),
            "coin": st.sampled_from(("BTC", "ETH")),
            "side": st.sampled_from(("buy", "buy", "sell")),
            "sz": st.sampled_from(SIZES),
            "px": st.sampled_from(PRICES),
            "wait_ms": st.sampled_from((0, 0, 1, 1_000, HOUR_MS, WEEK)),
            "start": st.sampled_from((None, None, "right", "right", "0", "2")),
            "fee": st.sampled_from((None, "0", "0.1")),
            "crossed": st.booleans(),
            "source": st.sampled_from(Source),
            "known_since_ms": st.sampled_from((None, 5, 9)),
            "is_liquidation": st.booleans(),
            "is_funding": st.sampled_from((False, False, False, True)),
            "is_twice": st.sampled_from((False, False, True)),
        }
    ),
    max_size=12,
)


def events_of(script: list[dict[str, Any]]) -> list[Fill | FundingPayment]:
    """Fills and payments in order; "right" start positions are what the fills so far add up to."""
    held: dict[tuple[str, str], Decimal] = {}
    events: list[Fill | FundingPayment] = []
    at_ms = 0
    for number, act in enumerate(script):
        at_ms += act["wait_ms"]
        key = (act["user"], act["coin"])
        if act["is_funding"]:
            events.append(FundingPayment(*key, T0 + at_ms, dec("-0.3"), dec(1), 0.0001))
            continue
        names = ("user", "coin", "crossed", "source", "known_since_ms", "is_liquidation")
        start = held.get(key, Decimal(0)) if act["start"] == "right" else act["start"]
        fee = None if act["fee"] is None else dec(act["fee"])
        made = fill(act["side"], act["sz"], act["px"], at_ms, tid=number, start=start, fee=fee,
                    **{name: act[name] for name in names})  # fmt: skip
        held[key] = held.get(key, Decimal(0)) + made.signed_size
        events += [made, made] if act["is_twice"] else [made]
    return events


def told(events: list[Fill | FundingPayment], **options: Any) -> tuple[str, str]:
    """(fast form, clear form) as text, which shows every digit and exponent."""
    fills = [event for event in events if isinstance(event, Fill)]
    paid = [event for event in events if isinstance(event, FundingPayment)]
    given_: dict[str, Any] = {
        "sz_decimals": {"BTC": 3, "ETH": 2},
        "stop_at": lambda coin, ms: 0.01 if coin == "BTC" else None if ms % 2 else 0.02,
        "mark_at": lambda coin, _ms: dec(101) if coin == "BTC" else None,
        "funding": paid,
    } | options
    return repr(build_history(fills, **given_)), repr(stepwise_history(fills, given_))


@settings(max_examples=40, deadline=None)
@given(acts, st.booleans(), st.sampled_from((None, T0 + WEEK, T0 + 3 * WEEK)))
def test_every_prefix_is_folded_like_step_by_step(
    script: list[dict[str, Any]], assume_flat: bool, until_ms: int | None
) -> None:
    events = events_of(script)
    for end in range(len(events) + 1):
        fast, clear = told(events[:end], assume_flat=assume_flat, until_ms=until_ms)
        assert fast == clear


@settings(max_examples=40, deadline=None)
@given(acts, st.integers(0, 12))
def test_a_history_goes_on_from_any_state_like_step_by_step(script: list[dict[str, Any]], cut: int) -> None:
    events = events_of(script)
    fills = [event for event in events[:cut] if isinstance(event, Fill)]
    states = build_history(fills, sz_decimals={"BTC": 3, "ETH": 2}, stop_at=lambda _coin, _ms: 0.01).states
    # what comes again is late, too: it is older than what the states have seen
    fast, clear = told(events, states=states)
    assert fast == clear


def test_fills_of_one_millisecond_delivered_again_in_any_order_count_once() -> None:
    fills = [fill("buy", size, 100 + size, 0, tid=size) for size in (1, 2, 3)]
    later = fill("sell", 4, 110, 5, tid=1)
    again = [*fills, fills[1], fills[0], later, fills[2], later]
    fast, clear = told(list(again))
    assert fast == clear
    assert fast == told([*fills, later])[0]


def test_only_what_adds_or_takes_away_is_summed_in_place() -> None:
    opening, adding, taking = script(("buy", 2, 100), ("buy", 1, 101), ("sell", 1, 102))
    flat = EpisodeState(ledger.flat(ALICE, "BTC", T0))
    assert not AccountFold(flat, _PARAMS).add(opening)
    state, _ = on_fill(flat, opening, sz_decimals=3, stop_fraction=0.01)
    fold = AccountFold(state, _PARAMS)
    assert fold.state() is state
    assert fold.add(adding)
    assert fold.add(taking)
    for other in (
        fill("sell", 2, 100, 9_000),  # closes
        fill("sell", 3, 100, 9_000),  # flips
        fill("buy", 1, 100, 9_000, start=7),  # contradicts
        fill("buy", 1, 100, 0, tid=9),  # is late
        fill("buy", 1, 100, WEEK),  # is overdue
        fill("buy", "NaN", 100, 9_000),
        fill("buy", 1, "Infinity", 9_000),
        fill("buy", -1, 100, 9_000),
    ):
        assert not fold.add(other)
    assert (fold.state().ledger.position, fold.state().ledger.fill_count) == (2, 3)


def test_a_price_or_size_that_is_no_number_above_zero_is_refused() -> None:
    fills = [*script(("buy", 1, 100), ("buy", 1, 100)), fill("buy", 0, 100, 9_000)]
    with pytest.raises(ValueError, match="must be finite and positive"):
        build_history(fills, sz_decimals={"BTC": 3}, stop_at=lambda _coin, _ms: 0.01)
