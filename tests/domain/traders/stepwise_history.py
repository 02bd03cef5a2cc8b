"""The clear form of `history.build_history`: one step after another in order of time, a frozen state between them."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import EpisodeParams
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.episodes import EpisodeState, deadline_ms, on_fill, on_funding, on_mark
from sigmapilot_core.domain.traders.history import History
from sigmapilot_core.domain.venue import FundingPayment


def stepwise_history(fills: list[Fill], options: dict[str, Any]) -> History:
    """What `build_history(fills, **options)` has to be."""
    params, mark_at = options.get("params", EpisodeParams()), options["mark_at"]
    current: dict[tuple[str, str], EpisodeState] = dict(options.get("states") or {})
    episodes: list[Episode] = []
    gap_count = 0
    events: list[Fill | FundingPayment] = [*options["funding"], *ledger.ordered_fills(fills)]
    for event in sorted(events, key=lambda one: one.time_ms):  # stable: funding first within an instant
        key = (event.user, event.coin)
        state = current.get(key)
        if isinstance(event, FundingPayment):
            if state is not None:
                current[key], _ = on_funding(state, event)
            continue
        if state is None and options.get("assume_flat") and event.start_position is None:
            state = EpisodeState(ledger.flat(event.user, event.coin, event.time_ms))
        current[key], output = on_fill(
            state,
            event,
            sz_decimals=options["sz_decimals"][event.coin],
            stop_fraction=options["stop_at"](event.coin, event.time_ms),
            mark_at=mark_at,
            params=params,
        )
        episodes += output.closed
        gap_count += output.is_gap
    for key, state in current.items() if options.get("until_ms") is not None else ():
        if state.open is not None and (due := deadline_ms(state.open, params)) <= options["until_ms"]:
            current[key], ended = on_mark(state, due, mark_at and mark_at(key[1], due), params)
            episodes += ended.closed
    return History(tuple(episodes), current, gap_count)
