"""Tells of each new model: what is heard from now on, the scores of the pool, and who is new in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.ports import Clock
from sigmapilot_stream.messages import candidate_records, score_records
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import CandidateRecord, ScoreRecord
from sigmapilot_stream.services.feed import FeedService, decidable
from sigmapilot_stream.services.vips import chosen


class Announcer:
    """Acts on a snapshot beside the decision step. `listed` are the venue's coins; `other_coins` are heard as well;
    `pinned` tells the pinned accounts, which have a lane of their own first."""

    def __init__(
        self,
        feed: FeedService,
        listed: Collection[str],
        other_coins: Collection[str],
        clock: Clock,
        observer: Observer,
        metrics: Metrics,
        publish: Callable[[ScoreRecord | CandidateRecord], Awaitable[object]],
        pinned: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._feed = feed
        self._listed = listed
        self._other_coins = other_coins
        self._clock = clock
        self._observer = observer
        self._publishing = metrics.hl_scout_candidate_publish_seconds.labels("publish")
        self._publish = publish
        self._pinned = pinned
        self._pool: frozenset[str] = frozenset()

    def hear_everything(self) -> None:
        """Before the first snapshot: trades of every coin, no books."""
        self._feed.follow([*self._listed, *self._other_coins], [])

    async def new(self, snapshot: ModelSnapshot) -> None:
        """Books for what may be decided on, lanes for the best of the pool; scores and candidates on their topics."""
        with_books = [coin for coin in decidable(snapshot) if coin in self._listed]
        self._feed.follow([*self._listed, *self._other_coins], with_books, chosen(snapshot, self._pinned()))
        now = self._clock.now_ms()
        scores = score_records(snapshot, now)
        for score in scores:
            await self._publish(score)
        with self._publishing.time():
            candidates = candidate_records(snapshot, self._pool, now)
            for candidate in candidates:
                await self._publish(candidate)
        self._pool = frozenset(member.address for member in snapshot.slow.pool)
        self._observer.activated(snapshot, len(scores), len(candidates), now)
