"""Folding a step over events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.folds import fold, scan


def add(total: int, event: int) -> tuple[int, str]:
    return total + event, str(total + event)


def test_no_event_leaves_the_state() -> None:
    assert fold(add, 7, []) == (7, [])


@given(st.lists(st.integers()), st.integers(0, 20))
def test_every_prefix_of_the_scan_is_the_fold_of_that_prefix(events: list[int], cut: int) -> None:
    steps = list(scan(add, 0, events))
    state, outputs = fold(add, 0, events[:cut])
    assert outputs == [output for _, output in steps[:cut]]
    assert state == (steps[:cut][-1][0] if steps[:cut] else 0)


def test_the_scan_takes_events_one_by_one() -> None:
    events = iter([1, 2, 3])
    next(scan(add, 0, events))
    assert next(events) == 2
