"""Folding a step `(state, event) -> (state, output)` over events: assets, replays and tests run the stream's rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

State = TypeVar("State")
Event = TypeVar("Event")
Output = TypeVar("Output")


def scan(
    step: Callable[[State, Event], tuple[State, Output]], state: State, events: Iterable[Event]
) -> Iterator[tuple[State, Output]]:
    """State and output after every event, lazily: every prefix of the fold."""
    for event in events:
        state, output = step(state, event)
        yield state, output


def fold(
    step: Callable[[State, Event], tuple[State, Output]], state: State, events: Iterable[Event]
) -> tuple[State, list[Output]]:
    """Last state and all outputs; no events leave the state as it is."""
    outputs: list[Output] = []
    for after, output in scan(step, state, events):
        state = after
        outputs.append(output)
    return state, outputs
