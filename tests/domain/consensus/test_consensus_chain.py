"""Hash chains name what was changed, is missing or was inserted (spec 4.3)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from sigmapilot_core.domain.consensus import chain
from sigmapilot_core.domain.consensus.chain import ChainRow, Damage, Head

CHAIN = 3


def built(n: int) -> list[ChainRow]:
    rows: list[ChainRow] = []
    head = Head(CHAIN)
    for number in range(1, n + 1):
        rows.append(chain.append(head, f"id{number}", f'{{"n":"{number}"}}'))
        head = chain.head_of(rows[-1])
    return rows


ROWS = built(6)
END = chain.head_of(ROWS[-1])


def found(rows: list[ChainRow], head: Head | None = END, anchor: Head | None = None) -> tuple[Damage, int] | None:
    finding = chain.verify(rows, anchor or Head(CHAIN), head).finding
    return None if finding is None else (finding.damage, finding.seq)


def resealed(row: ChainRow, **changes: object) -> ChainRow:
    """A forged row that carries its own right hash."""
    forged = replace(row, **changes)  # type: ignore[arg-type]
    return replace(forged, row_hash=chain.row_hash(forged.chain, forged.seq, forged.prev_hash, forged.record))


def test_a_sound_chain_has_no_finding() -> None:
    result = chain.verify(ROWS, Head(CHAIN), END)
    assert (result.finding, result.n_rows, result.head) == (None, 6, END)


def test_a_row_hash_is_the_sha256_of_its_canonical_text() -> None:
    row = ROWS[0]
    text = json.dumps(
        {"chain": "3", "prev_hash": chain.GENESIS, "record": row.record, "seq": "1"}, separators=(",", ":")
    )
    assert row.row_hash == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("at", range(6))
def test_a_changed_record_is_named(at: int) -> None:
    rows = [*ROWS]
    rows[at] = replace(rows[at], record='{"n":"99"}')
    assert found(rows) == (Damage.CHANGED, at + 1)


@pytest.mark.parametrize("at", range(6))
def test_a_changed_record_with_a_recomputed_hash_is_named(at: int) -> None:
    rows = [*ROWS]
    rows[at] = resealed(rows[at], record='{"n":"99"}')
    assert found(rows) == (Damage.CHANGED, at + 1)


@pytest.mark.parametrize("at", range(6))
def test_a_missing_row_is_named(at: int) -> None:
    assert found([*ROWS[:at], *ROWS[at + 1 :]]) == (Damage.MISSING, at + 1)


@pytest.mark.parametrize("at", range(5))
def test_a_missing_row_is_named_even_if_the_rest_was_renumbered(at: int) -> None:
    rest = [replace(row, seq=row.seq - 1) for row in ROWS[at + 1 :]]
    assert found([*ROWS[:at], *rest]) == (Damage.MISSING, at + 1)


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("is_sealed", [True, False])
def test_an_inserted_row_is_named(at: int, is_sealed: bool) -> None:
    before = ROWS[at - 1]
    forged = chain.append(chain.head_of(before), "forged", "{}")
    if not is_sealed:
        forged = replace(forged, row_hash="f" * 64)
    rest = [replace(row, seq=row.seq + 1) for row in ROWS[at:]]
    assert found([*ROWS[:at], forged, *rest]) == (Damage.INSERTED, at + 1)


def test_a_row_that_stands_twice_is_inserted() -> None:
    assert found([*ROWS[:3], ROWS[2], *ROWS[3:]]) == (Damage.INSERTED, 3)


def test_a_row_appended_behind_the_head_is_inserted() -> None:
    assert found([*ROWS, chain.append(END, "forged", "{}")]) == (Damage.INSERTED, 7)


def test_rows_cut_off_at_the_end_are_missed_only_with_a_head() -> None:
    assert found(ROWS[:4]) == (Damage.MISSING, 5)
    assert found(ROWS[:4], head=None) is None


def test_a_chain_goes_on_behind_an_anchor() -> None:
    anchor = chain.head_of(ROWS[2])
    assert found(ROWS[3:], anchor=anchor) is None
    assert found(ROWS[4:], anchor=anchor) == (Damage.MISSING, 4)
    assert found(ROWS[3:], anchor=replace(anchor, row_hash="0" * 64)) == (Damage.MISSING, 4)


def test_a_row_of_another_chain_is_no_part_of_it() -> None:
    assert found([*ROWS[:2], resealed(ROWS[2], chain=4), *ROWS[3:]]) == (Damage.CHANGED, 3)


def test_an_empty_chain_is_sound() -> None:
    assert chain.verify([], Head(CHAIN), Head(CHAIN)).finding is None


def test_coins_are_spread_over_sixteen_chains_the_same_way_everywhere() -> None:
    expected = int(hashlib.sha256(b"BTC").hexdigest()[:16], 16) % 16
    assert chain.chain_of("BTC") == expected
    assert {chain.chain_of(f"C{n}") for n in range(300)} == set(range(16))
