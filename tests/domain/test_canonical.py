"""One text for one value, and the value back from it (spec 1.8, 4.3)."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.canonical import (
    ID_NAMESPACE,
    canonical_json,
    decimal_text,
    plain,
    sha256_of,
    uuid_of_text,
)
from sigmapilot_core.domain.codec import from_json


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    px: Decimal
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    n: int
    ok: bool
    colour: Colour
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[int, float]
    by_coin: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n is {self.n}, allowed is 0 or more")


VALUE = Outer(
    'ä"', 3, True, Colour.RED, Inner(Decimal("1.10")), (Inner(Decimal(2), 0.1),), (1, 2.5), {"b": 1.0, "a": 2.0}
)
TEXT = (
    '{"by_coin":{"a":"2","b":"1"},"colour":"red","inner":{"px":"1.1","share":null},'
    '"many":[{"px":"2","share":"0.1"}],"n":"3","name":"ä\\"","ok":true,"pair":["1","2.5"]}'
)


def test_keys_are_sorted_and_numbers_are_decimal_strings() -> None:
    assert canonical_json(VALUE) == TEXT


def test_a_value_comes_back_from_its_text() -> None:
    assert from_json(Outer, TEXT) == VALUE


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2, "2"), (2.0, "2"), (Decimal("2.00"), "2"), (-0.0, "0"), (Decimal("-0.0"), "0"), (0.1, "0.1"),
        (1e22, "10000000000000000000000"), (1e-7, "0.0000001"), (Decimal("1E+3"), "1000"), (-1.5, "-1.5"),
    ],
)  # fmt: skip
def test_equal_numbers_have_one_plain_text(number: Any, text: str) -> None:
    assert decimal_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back_from_its_text(number: float) -> None:
    assert float(decimal_text(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_decimal_comes_back_from_its_text(number: Decimal) -> None:
    assert Decimal(decimal_text(number)) == number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_the_fast_form_equals_json_of_the_plain_form(value: Any) -> None:
    expected = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(value) == expected


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity")])
def test_a_number_that_is_not_finite_is_refused_with_its_path(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"value\.a\[1\]"):
        canonical_json({"a": [1, bad]})


def test_a_type_without_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match=r"value\.a is a set"):
        canonical_json({"a": {1}})
    with pytest.raises(TypeError, match="key 1"):
        canonical_json({1: 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": "many"}, r"Outer\.n must be an integer"),
        ({"n": "1.5"}, r"Outer\.n must be an integer"),
        ({"n": True}, r"Outer\.n must be a number"),
        ({"n": "-1"}, "Outer: n is -1"),
        ({"ok": "true"}, r"Outer\.ok must be true or false"),
        ({"colour": "blue"}, r"Outer\.colour must be one of red"),
        ({"inner": {"px": "NaN"}}, r"Outer\.inner\.px must be a finite number"),
        ({"inner": {}}, r"Outer\.inner lacks the field 'px'"),
        ({"many": [{"px": "1", "share": "x"}]}, r"Outer\.many\[0\]\.share must be a number"),
        ({"many": "no"}, r"Outer\.many must be a list"),
        ({"pair": ["1"]}, r"Outer\.pair must be a list of 2"),
        ({"by_coin": []}, r"Outer\.by_coin must be an object"),
        ({"extra": 1}, r"Outer has the unknown field 'extra'"),
        ({"name": None}, r"Outer\.name must be a text"),
    ],
)
def test_reading_names_the_field_that_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Outer, json.dumps(json.loads(TEXT) | change))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Outer is not JSON"):
        from_json(Outer, "{")


def test_hash_and_id_depend_on_the_content_only() -> None:
    assert sha256_of({"a": 1, "b": 2.0}) == sha256_of({"b": Decimal("2.0"), "a": 1})
    assert sha256_of({"a": 1}) != sha256_of({"a": 2})
    assert uuid_of_text("x") == str(uuid.uuid5(ID_NAMESPACE, "x"))
