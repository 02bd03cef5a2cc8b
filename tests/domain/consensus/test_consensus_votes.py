"""Acts and votes as steps over fills (spec 2)."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import pytest

from sigmapilot_core.domain.consensus import votes
from sigmapilot_core.domain.consensus.acts import is_vote
from sigmapilot_core.domain.consensus.votes import TraderState, Vote, VoteChange, VoteSet
from sigmapilot_core.domain.events import Direction, Fill
from sigmapilot_core.domain.params import ConsensusParams

T0 = 1_700_000_000_000
CAST, REPLACED, UPDATED, WITHDRAWN = VoteChange.CAST, VoteChange.REPLACED, VoteChange.UPDATED, VoteChange.WITHDRAWN
Order = tuple[float, Any, Any]  # (seconds, signed size, price)


def dec(value: Any) -> Decimal:
    return Decimal(str(value))


def run(orders: list[Order], start: Any = 0) -> list[tuple[TraderState, VoteChange | None]]:
    """State and change after each fill, from a starting position."""
    state, position, found = TraderState(), dec(start), []
    for number, (at_s, signed, px) in enumerate(orders):
        size = dec(signed)
        item = Fill("0xa", "BTC", size > 0, dec(px), abs(size), T0 + round(1000 * at_s), number, True)
        state, change = votes.on_fill(state, item, position, position + size)
        position += size
        found.append((state, change))
    return found


def changes(orders: list[Order], start: Any = 0) -> list[VoteChange | None]:
    return [change for _, change in run(orders, start)]


def test_opening_a_position_casts_a_vote_at_the_first_fill() -> None:
    (state, change), *_ = run([(0, 1, 100)])
    assert change is CAST
    assert state.vote is not None
    assert (state.vote.direction, state.vote.voted_at_ms, state.vote.price) == (Direction.LONG, T0, dec(100))


def test_later_fills_of_the_act_move_price_and_notional_but_not_the_time() -> None:
    # vector vwap-01: 1 @ 50000 and 2 @ 51000 -> 50666.67
    (_, _), (state, change) = run([(0, 1, 50_000), (5, 2, 51_000)])
    assert change is UPDATED
    assert state.vote is not None
    assert float(state.vote.price) == pytest.approx(50_666.6666667)
    assert (state.vote.notional, state.vote.voted_at_ms) == (dec(152_000), T0)
    assert state.vote.fill_ids == (f"0xa:{T0}:BTC:0", f"0xa:{T0 + 5000}:BTC:1")


def test_a_gap_of_ten_seconds_continues_the_act_and_more_ends_it() -> None:
    assert changes([(0, 1, 100), (10, 1, 100)]) == [CAST, UPDATED]
    assert changes([(0, 1, 100), (10.001, 1, 100)]) == [CAST, REPLACED]  # an act of its own that doubles


def test_an_act_ends_after_sixty_seconds() -> None:
    steady = [(10 * n, 1, 100) for n in range(8)]
    assert changes(steady)[:7] == [CAST, *[UPDATED] * 6]
    assert changes(steady)[7] is None  # 1 more on 7 is 14 %: no vote of its own
    assert changes([*steady, (75, 1, 100)])[8] is REPLACED  # the second act has added 2 on 7


def test_the_change_is_measured_against_the_position_at_the_act_s_start() -> None:
    assert changes([(0, 1, 100), (1, 1, 100), (2, 0.5, 100)], start=10) == [None, None, CAST]


@pytest.mark.parametrize(
    ("start", "position", "is_buy", "expected"),
    [
        (0, 1, True, True),
        (0, -1, False, True),
        (-5, 1, True, True),
        (-5, -1, True, False),
        (-5, 0, True, False),
        (4, 5, True, True),  # exactly a quarter
        (4, 4.999, True, False),
        (-4, -5, False, True),
        (-4, -4.999, False, False),
    ],
)
def test_opening_flipping_or_adding_a_quarter_is_a_vote(
    start: Any, position: Any, is_buy: bool, expected: bool
) -> None:
    assert is_vote(dec(start), dec(position), is_buy) is expected


def test_a_reduction_of_less_than_half_keeps_the_vote_and_half_withdraws_it() -> None:
    assert changes([(0, 4, 100), (20, -1, 100), (40, -0.9, 100), (60, -0.1, 100)]) == [CAST, None, None, WITHDRAWN]


def test_a_full_close_withdraws_the_vote() -> None:
    found = run([(0, 4, 100), (20, -4, 100)])
    assert found[-1][1] is WITHDRAWN
    assert found[-1][0].vote is None


def test_a_cut_is_measured_against_the_largest_position_since_the_vote() -> None:
    # 10 + 2 (no vote of its own), then down to 6: half of 12
    assert changes([(0, 10, 100), (30, 2, 100), (60, -6, 100)]) == [CAST, None, WITHDRAWN]


def test_a_flip_replaces_the_vote_by_the_opposite_one() -> None:
    found = run([(0, 1, 100), (20, -3, 101)])
    state, change = found[-1]
    assert change is REPLACED
    assert state.vote is not None
    assert (state.vote.direction, state.vote.voted_at_ms) == (Direction.SHORT, T0 + 20_000)


def test_a_flip_in_several_fills_votes_from_the_fill_that_turns() -> None:
    assert changes([(0, 2, 100), (20, -1, 100), (21, -1, 100), (22, -1, 100)]) == [CAST, WITHDRAWN, None, CAST]


def test_the_newest_vote_counts() -> None:
    found = run([(0, 1, 100), (30, 1, 110)])
    state, change = found[-1]
    assert change is REPLACED
    assert state.vote is not None
    assert (state.vote.voted_at_ms, state.vote.price) == (T0 + 30_000, dec(110))


def test_closing_and_opening_again_votes_again() -> None:
    assert changes([(0, 1, 100), (5, -1, 100), (6, 1, 100)]) == [CAST, WITHDRAWN, CAST]


def test_a_reduction_is_no_vote_for_the_other_side() -> None:
    assert changes([(0, -3, 100)], start=10) == [None]


def test_a_restated_position_withdraws_a_vote_it_no_longer_supports() -> None:
    state = run([(0, 4, 100)])[-1][0]
    kept, change = votes.on_position(state, dec(3))
    assert (change, kept.vote is not None, kept.act) == (None, True, None)
    for position in (2, 0, -4):
        assert votes.on_position(state, dec(position))[1] is WITHDRAWN


def vote(user: str, at_s: float, direction: Direction = Direction.LONG) -> Vote:
    return Vote(user, "BTC", direction, T0 + round(1000 * at_s), dec(100), dec(1), ((T0, 1),))


def filled(*found: Vote) -> VoteSet:
    made = VoteSet("BTC")
    for item in found:
        made = made.with_vote(item.user, item)
    return made


def test_a_vote_stays_until_the_watermark_has_passed_its_life() -> None:
    life = votes.life_ms(50.0)
    made = filled(vote("a", 0), vote("b", 10))
    assert votes.next_deadline_ms(made, life) == T0 + 150_001
    assert votes.advance(made, T0 + 150_000, life)[1] == ()
    left, gone = votes.advance(made, T0 + 150_001, life)
    assert [item.user for item in gone] == ["a"]
    assert list(left.votes) == ["b"]


def test_a_watermark_never_goes_back() -> None:
    ahead, _ = votes.advance(filled(vote("a", 0)), T0 + 50_000, 150_000)
    assert votes.advance(ahead, T0, 150_000)[0].watermark_ms == T0 + 50_000


@pytest.mark.parametrize(
    ("percentile", "life_s"),
    [(0.0, 75), (19.9, 75), (20.0, 150), (50.0, 150), (80.0, 150), (80.1, 300), (None, 75), (math.nan, 75)],
)
def test_life_follows_volatility_and_is_shortest_where_that_is_unknown(percentile: float | None, life_s: int) -> None:
    assert votes.life_ms(percentile) == 1000 * life_s


def test_life_follows_the_settings() -> None:
    assert votes.life_ms(50.0, ConsensusParams(window_s=60.0, staleness_factor=1.0)) == 60_000


@pytest.mark.parametrize(
    ("kappa", "notional", "expected"),
    [
        (10.0, 10_000 * (math.e**4 - 1), 0.5),  # ln(1 + N/10 000)/4 reaches 1 at 535 982 USD
        (10.0, 1e9, 0.5),
        (10.0, 10_000 * (math.e - 1), 0.125),
        (1.0, 1e9, 1 / 11),
        (10.0, 0.0, 0.0),
    ],
)
def test_vote_weight_is_record_times_size(kappa: float, notional: float, expected: float) -> None:
    assert votes.vote_weight(kappa, notional) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [(0.0, 1.0), (math.nan, 1.0), (1.0, -1.0), (1.0, math.nan)])
def test_a_weight_of_bad_numbers_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="kappa"):
        votes.vote_weight(*bad)


def test_the_order_of_votes_of_one_instant_does_not_matter() -> None:
    found = [vote(user, 0) for user in "abc"]
    assert len({filled(*order).ordered() for order in itertools.permutations(found)}) == 1


def test_heads_are_counted_by_side() -> None:
    assert filled(vote("a", 0), vote("b", 0), vote("c", 0, Direction.SHORT)).heads() == (2, 1)
