"""The quick form of reading values from their plain form against the clear one: same values, same words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.canonical import ABSENT, canonical_json, plain, sha256_of_text
from sigmapilot_core.domain.codec import Known, from_plain, stepwise
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import part_to_json, settings_from_json, settings_hash


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    name: str
    ratio: float
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.ratio > 100:
            raise ValueError("ratio must be at most 100")


@dataclass(frozen=True)
class Outer:
    number: int
    price: Decimal | None
    is_on: bool
    colour: Colour
    inners: tuple[Inner, ...]
    pair: tuple[int, str]
    by_name: Mapping[str, Inner]
    letters: frozenset[str]
    anything: Any = None


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-200, 200), st.sampled_from(("1", "2.5", "NaN", "red", "blue", "x", "1e999"))
)
inners = st.fixed_dictionaries(
    {"name": st.one_of(st.just("a"), scalars), "ratio": st.one_of(st.just("1"), scalars)},
    optional={"tags": st.lists(st.sampled_from("ab")), "unknown": st.just(1)},
)
trees = st.fixed_dictionaries(
    {
        "number": st.one_of(st.just("7"), scalars),
        "price": st.one_of(st.just("1.50"), scalars),
        "is_on": st.one_of(st.booleans(), scalars),
        "colour": st.one_of(st.just("red"), scalars),
        "inners": st.one_of(st.lists(inners, max_size=3), scalars),
        "pair": st.one_of(st.just(["1", "x"]), st.lists(scalars, max_size=3)),
        "by_name": st.one_of(st.dictionaries(st.sampled_from("ab"), inners), scalars),
        "letters": st.one_of(st.lists(st.sampled_from("ab")), scalars),
    },
    optional={"anything": scalars, "unknown": scalars},
)


def outcome(read: Any, *arguments: Any) -> str:
    """The value as text, or what was wrong."""
    try:
        return repr(read(Outer, *arguments))
    except ValueError as error:
        return f"refused: {error}"


@given(trees, st.lists(trees, max_size=2))
def test_both_forms_read_and_refuse_alike_also_when_values_are_shared(tree: Any, others: list[Any]) -> None:
    known: Known = {Inner: {}}
    for other in others:
        outcome(from_plain, other, "tree", known)
    clear = outcome(stepwise, tree, "tree")
    assert outcome(from_plain, tree, "tree") == clear
    assert outcome(from_plain, tree, "tree", known) == clear


def test_what_recurs_is_one_value_and_other_contents_are_not() -> None:
    known: Known = {Inner: {}}
    read = [from_plain(Inner, {"name": "a", "ratio": ratio}, "inner", known) for ratio in ("1", "1", "2")]
    assert read[0] is read[1]
    assert read[2] == Inner("a", 2.0)


@pytest.mark.parametrize("ratio", [1, 1.0])
def test_a_number_and_its_text_are_different_contents_of_equal_values(ratio: float) -> None:
    known: Known = {Inner: {}}
    a, b = (from_plain(Inner, {"name": "a", "ratio": found}, "inner", known) for found in (ratio, "1"))
    assert a == b
    assert a is not b
    with pytest.raises(ValueError, match=r"inner\.ratio must be a number"):
        from_plain(Inner, {"name": "a", "ratio": True}, "inner", known)


@dataclass(frozen=True)
class Rules:
    size: int
    is_new: bool = field(default=True, metadata={ABSENT: False})


def test_texts_of_before_a_field_mean_what_it_says_and_keep_their_form() -> None:
    for read in (from_plain, stepwise):
        old = read(Rules, {"size": "3"}, "rules")
        assert old == Rules(3, is_new=False)
        assert (canonical_json(old), plain(old)) == ('{"size":"3"}', {"size": "3"})
    new = Rules(3)
    assert from_plain(Rules, plain(new), "rules") == new
    assert canonical_json(new) == '{"is_new":true,"size":"3"}'


def test_settings_stored_before_draws_were_shrunk_say_so_and_keep_their_hash() -> None:
    before = json.loads(part_to_json(Params()))
    for name in ("explore_slow", "shrink_draws"):
        before["bandit"].pop(name)
    text = canonical_json(before)
    old = settings_from_json(text)
    assert (old.bandit.explore_slow, old.bandit.shrink_draws) == (True, False)
    assert part_to_json(old) == text
    assert settings_hash(old) == sha256_of_text(text)
