"""Episodes of many traders from their fills: the batch form, a fold of the step in `episodes` (spec 1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import EpisodeParams
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.account_fold import AccountFold
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.episodes import (
    EpisodeOutput,
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
_TIME = attrgetter("time_ms")
_PLACE = itemgetter(0)


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

    Account by account, as accounts do not touch each other. Tests hold it to the steps of `episodes` taken
    one after another in order of time.
    """
    current: dict[Key, EpisodeState] = dict(states or {})
    closed: list[tuple[int, Episode]] = []
    gap_count = 0
    rules = _Rules(stop_at, mark_at, assume_flat, params)
    events = _in_time(fills, funding)
    for key, places in _places_of(events, current).items():
        state, found, gaps = _account(current.get(key), events, places, sz_decimals, rules)
        if state is not None:
            current[key] = state
        closed += found
        gap_count += gaps
    closed.sort(key=_PLACE)
    episodes = [episode for _, episode in closed]
    if until_ms is not None:
        episodes += _expired(current, until_ms, mark_at, params)
    return History(tuple(episodes), current, gap_count)


@dataclass(frozen=True, slots=True)
class _Rules:
    stop_at: StopAt
    mark_at: MarkAt | None
    assume_flat: bool
    params: EpisodeParams


def _in_time(fills: Iterable[Fill], funding: Iterable[FundingPayment]) -> list[Fill | FundingPayment]:
    """Events by time, funding first within an instant, ties in the order given; fills delivered twice stand twice."""
    events: list[Fill | FundingPayment] = [*funding, *fills]
    events.sort(key=_TIME)
    return events


def _places_of(events: list[Fill | FundingPayment], known: Mapping[Key, EpisodeState]) -> dict[Key, list[int]]:
    """Where the events of each account stand; funding of an account that nothing is known of yet belongs to nothing."""
    places: dict[Key, list[int]] = {}
    for place, event in enumerate(events):
        key = (event.user, event.coin)
        found = places.get(key)
        if found is not None:
            found.append(place)
        elif isinstance(event, Fill) or key in known:
            places[key] = [place]
    return places


def _account(
    state: EpisodeState | None,
    events: list[Fill | FundingPayment],
    places: list[int],
    sz_decimals: Mapping[str, int],
    rules: _Rules,
) -> tuple[EpisodeState | None, list[tuple[int, Episode]], int]:
    """(state after the events of one account, episodes they closed with the place of the event, gaps)."""
    closed: list[tuple[int, Episode]] = []
    gaps = 0
    fold = None if state is None else AccountFold(state, rules.params)
    for place in _once(events, places):
        event = events[place]
        if isinstance(event, Fill):
            if fold is not None and fold.add(event):
                continue
            state, output = _step(None if fold is None else fold.state(), event, sz_decimals[event.coin], rules)
            closed += [(place, episode) for episode in output.closed]
            gaps += output.is_gap
        elif fold is not None:
            state, _ = on_funding(fold.state(), event)
        if state is not None:
            fold = AccountFold(state, rules.params)
    return None if fold is None else fold.state(), closed, gaps


def _once(events: list[Fill | FundingPayment], places: list[int]) -> list[int]:
    """Places of one account's events, without fills that were there before: they share their millisecond."""
    kept: list[int] = []
    time_ms, first, tids = -1, -1, None
    for place in places:
        event = events[place]
        if isinstance(event, Fill):
            if event.time_ms != time_ms:
                time_ms, first, tids = event.time_ms, event.tid, None
            else:
                # few instants have a second fill: only then is there something to remember
                tids = {first} if tids is None else tids
                if event.tid in tids:
                    continue
                tids.add(event.tid)
        kept.append(place)
    return kept


def _step(state: EpisodeState | None, fill: Fill, lots: int, rules: _Rules) -> tuple[EpisodeState, EpisodeOutput]:
    if state is None and rules.assume_flat and fill.start_position is None:
        state = EpisodeState(ledger.flat(fill.user, fill.coin, fill.time_ms))
    stop_fraction = rules.stop_at(fill.coin, fill.time_ms)
    return on_fill(
        state, fill, sz_decimals=lots, stop_fraction=stop_fraction, mark_at=rules.mark_at, params=rules.params
    )


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
