"""Claim: a quick class is the frozen dataclass it was, only made faster."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.frozen import Remembering, changed, quick


@dataclass(frozen=True, slots=True)
class Plain:
    """The class without haste."""

    a: int
    b: str = "b"
    c: dict[str, int] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quick."""

    a: int
    b: str = "b"
    c: dict[str, int] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Checked(Remembering):
    """Refuses a negative number."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n must not be negative, got {self.n}")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Checked):
    """Adds a field that has to be named."""

    name: str


@given(st.integers(), st.text(), st.dictionaries(st.text(max_size=3), st.integers(), max_size=3))
def test_it_says_and_holds_what_the_plain_one_does(a: int, b: str, c: dict[str, int]) -> None:
    quick_one, plain_one = Quick(a, b, c), Plain(a, b, c)
    assert asdict(quick_one) == asdict(plain_one)
    assert repr(quick_one) == repr(plain_one).replace("Plain", "Quick")
    assert quick_one == Quick(a, b=b, c=dict(c))
    assert type(quick_one) is Quick
    assert pickle.loads(pickle.dumps(quick_one)) == quick_one
    assert replace(quick_one, a=a + 1) == changed(quick_one, a=a + 1) == Quick(a + 1, b, c)


def test_defaults_are_made_anew_for_each() -> None:
    one, other = Quick(1), Quick(1)
    assert one == other
    assert one.c is not other.c


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Quick(1).a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        changed(Quick(1), a=2).a = 3  # type: ignore[misc]


def test_a_wrong_call_is_refused_as_by_the_plain_one() -> None:
    for arguments in ({}, {"a": 1, "d": 2}):
        for kind in (Plain, Quick):
            with pytest.raises(TypeError):
                kind(**arguments)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        changed(Quick(1), d=2)


def test_its_own_checks_are_made_at_every_birth() -> None:
    with pytest.raises(ValueError, match="got -1"):
        Checked(-1)
    with pytest.raises(ValueError, match="got -1"):
        changed(Checked(1), n=-1)


def test_a_child_has_the_fields_of_both() -> None:
    child = Child(n=1, name="x")
    assert [item.name for item in fields(Child)] == ["n", "name"]
    assert (child.n, child.name) == (1, "x")
    assert isinstance(child, Checked)


def test_a_remembered_text_is_not_carried_to_a_changed_copy() -> None:
    value = Checked(1)
    assert canonical_json(value) == canonical_json(value) == '{"n":"1"}'
    assert canonical_json(changed(value, n=2)) == canonical_json(replace(value, n=2)) == '{"n":"2"}'
    assert value == Checked(1)
    assert hash(value) == hash(Checked(1))


def test_only_frozen_dataclasses_with_slots_can_be_quick() -> None:
    @dataclass
    class Loose:
        a: int

    with pytest.raises(TypeError, match="Loose"):
        quick(Loose)
