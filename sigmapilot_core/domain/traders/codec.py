"""Episode states as plain values for storage between restarts: text for decimals, nothing lost."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

from sigmapilot_core.domain.canonical import field_names
from sigmapilot_core.domain.events import Direction, Source
from sigmapilot_core.domain.traders.episode import OpenEpisode
from sigmapilot_core.domain.traders.episodes import EpisodeState
from sigmapilot_core.domain.traders.ledger import LedgerState

_DECIMALS = frozenset(
    {"position", "cost", "size", "fees", "funding", "entry_size", "entry_notional", "exit_size", "exit_notional"}
    | {"realised"}
)


def dump_state(state: EpisodeState) -> dict[str, Any]:
    """A dictionary of strings, numbers, booleans and None that JSON can carry."""
    return {
        "ledger": _plain(state.ledger),
        "open": None if state.open is None else _plain(state.open),
        "is_ignored": state.is_ignored,
    }


def load_state(data: dict[str, Any]) -> EpisodeState:
    """The inverse of `dump_state`. Errors: KeyError or TypeError for fields that are missing or not known."""
    opened = data["open"]
    return EpisodeState(
        ledger=LedgerState(**_typed(data["ledger"])),
        open=None if opened is None else OpenEpisode(**_typed(opened)),
        is_ignored=data["is_ignored"],
    )


def _plain(state: LedgerState | OpenEpisode) -> dict[str, Any]:
    kind: type = type(state)
    held = [(name, getattr(state, name)) for name in field_names(kind)]
    return {name: str(value) if isinstance(value, (Decimal, StrEnum)) else value for name, value in held}


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {
        name: Decimal(value) if name in _DECIMALS and value is not None else value for name, value in values.items()
    }
    if "direction" in typed:
        typed["direction"] = Direction(typed["direction"])
    if "source" in typed:
        typed["source"] = Source(typed["source"])
    return typed
