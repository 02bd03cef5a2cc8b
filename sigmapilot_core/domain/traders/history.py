"""Episodes of many traders from their fills: the batch form, a fold of the step in `episodes` (spec 1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import EpisodeParams
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.episodes import (
    EpisodeState,
    MarkAt,
    StopAt,
    deadline_ms,
    on_fill,
    on_funding,
    on_mark,
)
from sigmapilot_core.domain.venue import FundingPayment

Key = tuple[str, str]
"""(user, coin)."""
_DEFAULTS = EpisodeParams()


@dataclass(frozen=True, slots=True)
class History:
    """Closed episodes in order of closing within each (user, coin), and the state to go on from."""

    episodes: tuple[Episode, ...]
    states: dict[Key, EpisodeState]
    gap_count: int


def build_history(
    fills: Iterable[Fill],
    *,
    sz_decimals: Mapping[str, int],
    stop_at: StopAt,
    mark_at: MarkAt | None = None,
    funding: Iterable[FundingPayment] = (),
    states: Mapping[Key, EpisodeState] | None = None,
    assume_flat: bool = False,
    until_ms: int | None = None,
    params: EpisodeParams = _DEFAULTS,
) -> History:
    """Fold fills (any mixture of traders and coins, duplicates allowed) into episodes; linear after one sort.

    `states` continues earlier histories. `assume_flat` says that an account without a state held nothing before its
    first fill (a complete history); otherwise a first fill without start position opens a mid-life episode.
    `until_ms` ends episodes that are overdue by then. Funding at the instant of a fill is applied before it. Errors:
    KeyError for a coin that `sz_decimals` lacks, and those of `ledger.step`.
    """
    current: dict[Key, EpisodeState] = dict(states or {})
    episodes: list[Episode] = []
    gap_count = 0
    for event in _merged(fills, funding):
        key = (event.user, event.coin)
        state = current.get(key)
        if isinstance(event, FundingPayment):
            if state is not None:
                current[key], _ = on_funding(state, event)
            continue
        if state is None and assume_flat and event.start_position is None:
            state = EpisodeState(ledger.flat(event.user, event.coin, event.time_ms))
        current[key], output = on_fill(
            state,
            event,
            sz_decimals=sz_decimals[event.coin],
            stop_fraction=stop_at(event.coin, event.time_ms),
            mark_at=mark_at,
            params=params,
        )
        episodes += output.closed
        gap_count += output.is_gap
    if until_ms is not None:
        episodes += _expired(current, until_ms, mark_at, params)
    return History(tuple(episodes), current, gap_count)


def _merged(fills: Iterable[Fill], funding: Iterable[FundingPayment]) -> list[Fill | FundingPayment]:
    payments, ordered = list(funding), ledger.ordered_fills(fills)
    if not payments:
        return list(ordered)
    events: list[Fill | FundingPayment] = [*payments, *ordered]
    return sorted(events, key=lambda event: event.time_ms)  # stable: funding first within an instant


def _expired(
    current: dict[Key, EpisodeState], until_ms: int, mark_at: MarkAt | None, params: EpisodeParams
) -> list[Episode]:
    closed: list[Episode] = []
    for key, state in current.items():
        if state.open is None or deadline_ms(state.open, params) > until_ms:
            continue
        due = deadline_ms(state.open, params)
        mark = mark_at(key[1], due) if mark_at is not None else None
        current[key], output = on_mark(state, due, mark, params)
        closed += output.closed
    return closed
