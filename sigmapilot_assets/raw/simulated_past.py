"""What an installation of the simulated world would have known on past days, had it run (demo only).

The simulated venue serves the leaderboard of any past day, so that the first start has a stored history. The answers to
filters 5-7 belong to it: on each of those days the traders that passed filters 1-4 would have been asked, those that
have since died or vanished among them. Nothing of this exists for a real exchange: there a history is known since the
moment it was fetched.

A day that was evaluated before stays as it was: what is fetched afterwards is told as known since then, never since an
instant that a stored draw had already looked back at.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from sigmapilot_core.adapters.postgres.history_store import TraderFacts, at
from sigmapilot_core.adapters.postgres.instants import ms_of
from sigmapilot_core.domain.events import Fill, Verdict
from sigmapilot_core.domain.params import DAY_MS, FilterParams
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.venue import LeaderboardRow

ASKED_AT = time(0, 45)


@dataclass(frozen=True, slots=True)
class Past:
    """The days on which a trader would have been asked, ascending."""

    days: tuple[date, ...]

    @property
    def known_since_ms(self) -> int:
        """The moment of the first question."""
        return ms_of(_asked(self.days[0]))


def after(past: Past, evaluated_until: datetime | None) -> Past | None:
    """The questions later than every stored draw; None if there is none of them, and the history is known from now."""
    if evaluated_until is None:
        return past
    days = tuple(day for day in past.days if _asked(day) > evaluated_until)
    return Past(days) if days else None


def past_of(boards: Mapping[date, Sequence[LeaderboardRow]], params: FilterParams) -> dict[str, Past]:
    """Of every trader that passed filters 1-4 on a stored day: when."""
    found: dict[str, list[date]] = {}
    for day in sorted(boards):
        for row in boards[day]:
            if filters.evaluate(row, params=params).leaderboard_verdict is Verdict.PASS:
                found.setdefault(row.address, []).append(day)
    return {address: Past(tuple(days)) for address, days in found.items()}


def answers_of(
    past: Past, address: str, fills: Sequence[Fill], has_sub_accounts: bool | None, history_days: int
) -> list[TraderFacts]:
    """What each of the questions would have brought; sub-accounts are taken as they are now."""
    times = [fill.time_ms for fill in fills]
    answers = []
    for asked in map(_asked, past.days):
        until_ms = ms_of(asked)
        window = slice(bisect.bisect_left(times, until_ms - history_days * DAY_MS), bisect.bisect_left(times, until_ms))
        seen = fills[window]
        facts = filters.facts_of(seen, has_sub_accounts)
        answers.append(
            TraderFacts(
                address=address,
                asked_at=asked,
                orders_per_day=facts.orders_per_day,
                has_sub_accounts=facts.has_sub_accounts,
                has_major_fill=facts.has_major_fill,
                fill_count=len(seen),
                first_fill_at=at(seen[0].time_ms) if seen else None,
                last_fill_at=at(seen[-1].time_ms) if seen else None,
            )
        )
    return answers


def backdated(past: Past, fills: Sequence[Fill]) -> list[Fill]:
    """The fills as they would have become known: with the first question, or live when they happened."""
    return [replace(fill, known_since_ms=max(fill.time_ms, past.known_since_ms)) for fill in fills]


def _asked(day: date) -> datetime:
    return datetime.combine(day, ASKED_AT, UTC)
