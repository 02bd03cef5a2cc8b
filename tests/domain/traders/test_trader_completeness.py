"""Every fill gets one verdict, and the share counts what should have been stored, whether a loss was noticed or not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.traders import completeness
from sigmapilot_core.domain.traders.completeness import (
    CompletenessParams,
    FeedRecord,
    KnownGap,
    StoredFill,
    Tally,
    Verdict,
)

T0 = 20_000 * DAY_MS
USER = "0x" + "a" * 40
PARAMS = CompletenessParams()


def fill(tid: int, after_ms: int = 0, coin: str = "BTC") -> Fill:
    return Fill(USER, coin, True, Decimal(100), Decimal(1), T0 + after_ms, tid, crossed=True)


def stored(one: Fill, delay_ms: int = 100) -> StoredFill:
    return StoredFill(one.is_buy, one.px, one.sz, one.time_ms + delay_ms)


def verdict(one: Fill, record: FeedRecord, *gaps: KnownGap) -> completeness.Comparison:
    (found,) = completeness.compare(USER, [one], record, gaps, PARAMS)
    return found


def record(*held: tuple[Fill, int], heard: tuple[tuple[Fill, int], ...] = (), since_ms: int = 0) -> FeedRecord:
    def key(one: Fill) -> completeness.Key:
        return (one.time_ms, one.coin, one.tid)

    return FeedRecord(
        {key(one): stored(one, delay) for one, delay in held},
        {key(one): one.time_ms + delay for one, delay in heard},
        since_ms,
    )


def test_a_stored_fill_is_present_and_late_only_beyond_the_limit() -> None:
    assert verdict(fill(1), record((fill(1), 10_000))).is_late is False
    late = verdict(fill(1), record((fill(1), 10_001)))
    assert (late.verdict, late.is_late) == (Verdict.PRESENT, True)


def test_another_size_price_or_side_is_wrong_and_said() -> None:
    found = verdict(replace(fill(1), sz=Decimal(2), is_buy=False), record((fill(1), 0)))
    assert found.verdict is Verdict.WRONG
    assert found.detail == "side is True, the venue says False; size is 1, the venue says 2"


def test_a_fill_nobody_heard_is_silent_unless_a_gap_covers_its_coin_trader_and_time() -> None:
    one = fill(1, 5_000)
    gap = KnownGap("g", "BTC", None, T0, T0 + 5_000)
    assert verdict(one, record()).verdict is Verdict.MISSING_SILENT
    assert (verdict(one, record(), gap).verdict, verdict(one, record(), gap).gap_id) == (Verdict.MISSING_KNOWN, "g")
    for other in (replace(gap, coin="ETH"), replace(gap, user="0xb"), replace(gap, to_ms=T0 + 4_999)):
        assert verdict(one, record(), other).verdict is Verdict.MISSING_SILENT


def test_what_was_heard_in_time_and_not_applied_is_in_a_statement_and_not_compared() -> None:
    assert verdict(fill(1), record(heard=((fill(1), 300),))).verdict is Verdict.IN_STATEMENT
    late = verdict(fill(1), record(heard=((fill(1), 700_000),)))
    assert (late.verdict, late.detail) == (Verdict.MISSING_SILENT, "heard 700000 ms late and not applied")


def test_what_was_before_the_trader_was_followed_is_not_compared() -> None:
    assert verdict(fill(1), record(since_ms=T0 + 1)).verdict is Verdict.BEFORE_TRACKING


def test_what_the_venue_does_not_list_is_extra_and_outside_the_share() -> None:
    found = completeness.compare(USER, [], record((fill(1), 0)), [], PARAMS)
    assert [item.verdict for item in found] == [Verdict.EXTRA]
    assert completeness.total(completeness.tallies(found).values()).share_present is None


def test_a_known_loss_lowers_the_share_like_any_other() -> None:
    assert Tally(present=997, wrong=1, missing_known=1, missing_silent=1, in_statement=500).share_present == 0.997


@given(st.lists(st.sampled_from(["kept", "lost", "altered", "known"]), max_size=60))
def test_every_fill_is_counted_once_by_coin_and_hour(fates: list[str]) -> None:
    listed = [fill(n, n * HOUR_MS // 7, "BTC" if n % 3 else "ETH") for n in range(len(fates))]
    held = {
        (one.time_ms, one.coin, one.tid): replace(stored(one), sz=Decimal(2 if fate == "altered" else 1))
        for one, fate in zip(listed, fates, strict=True)
        if fate in ("kept", "altered")
    }
    gaps = [
        KnownGap(str(one.tid), one.coin, None, one.time_ms, one.time_ms)
        for one, fate in zip(listed, fates, strict=True)
        if fate == "known"
    ]
    cells = completeness.tallies(completeness.compare(USER, listed, FeedRecord(held, {}, 0), gaps, PARAMS))
    found = completeness.total(cells.values())
    assert found == Tally(
        present=fates.count("kept"),
        wrong=fates.count("altered"),
        missing_known=fates.count("known"),
        missing_silent=fates.count("lost"),
    )
    assert all(hour % HOUR_MS == 0 for _, hour in cells)


@given(st.sets(st.integers(0, 10**6), max_size=40), st.integers(1, 30), st.integers(0, 2**128 - 1))
def test_a_draw_is_repeatable_whatever_the_order_and_never_draws_twice(users: set[int], size: int, key: int) -> None:
    names = [f"0x{user:040x}" for user in users]
    drawn = completeness.draw_sample(names, size, key)
    assert drawn == completeness.draw_sample(reversed(names), size, key)
    assert len(set(drawn)) == len(drawn) == min(size, len(names))


def test_windows_follow_one_another_and_are_bounded() -> None:
    now = T0 + 10 * DAY_MS
    assert completeness.window_of(None, now - HOUR_MS, now, PARAMS) == (now - HOUR_MS, now - 120_000)
    assert completeness.window_of(now - 300_000, 0, now, PARAMS) == (now - 300_000, now - 120_000)
    assert completeness.window_of(0, 0, now, PARAMS) == (now - 120_000 - DAY_MS, now - 120_000)
    assert completeness.window_of(now - 120_000, 0, now, PARAMS) is None
