"""Coins are divided without overlap, and no hash chain has two writers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.consensus.chain import chain_of
from sigmapilot_core.domain.engine.share import PARTITION_COUNTS, Share, partition_of, share_of, shares


def test_counts_divide_the_chains() -> None:
    assert PARTITION_COUNTS == (1, 2, 4, 8, 16)


@given(st.text(min_size=1, max_size=12), st.sampled_from(PARTITION_COUNTS))
def test_every_coin_belongs_to_exactly_one_share(coin: str, count: int) -> None:
    owners = [share for share in shares(count) if coin in share]
    assert [share.index for share in owners] == [partition_of(coin, count)]


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(PARTITION_COUNTS))
def test_coins_of_one_chain_are_in_one_partition(one: str, other: str, count: int) -> None:
    if chain_of(one) == chain_of(other):
        assert partition_of(one, count) == partition_of(other, count)


@pytest.mark.parametrize(("index", "count"), [(0, 3), (4, 4), (-1, 2), (0, 32)])
def test_a_division_that_would_split_a_chain_is_refused(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="allowed counts"):
        Share(index, count)


def test_another_division_has_other_names() -> None:
    assert {share.name for count in PARTITION_COUNTS for share in shares(count)} == {
        f"{index}-of-{count}" for count in PARTITION_COUNTS for index in range(count)
    }


def test_a_share_is_told_by_its_name() -> None:
    assert [share_of(share.name) for share in shares(16)] == list(shares(16))
    assert share_of("0") is None
