"""What the engine holds of one coin: market, feed, votes and what was decided last."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum

from sigmapilot_core.domain.consensus.outcome import Followed
from sigmapilot_core.domain.consensus.votes import VoteSet, life_ms
from sigmapilot_core.domain.engine.electorate import Electorate
from sigmapilot_core.domain.engine.seen import SeenKeys
from sigmapilot_core.domain.events import Book
from sigmapilot_core.domain.market.volatility import VolatilitySource
from sigmapilot_core.domain.params import MAJORS, ConsensusParams
from sigmapilot_core.domain.snapshot import AssetFigures
from sigmapilot_core.domain.venue import AssetContext

MARK_MAX_AGE_MS = 60_000
"""A mark counts for an instant only if it was received within this time of it."""


@dataclass(slots=True)
class Connection:
    """When the last frame of any kind arrived on one connection."""

    last_frame_ms: int | None = None

    def heard(self, now_ms: int) -> None:
        """A frame arrived."""
        if self.last_frame_ms is None or now_ms > self.last_frame_ms:
            self.last_frame_ms = now_ms


class Change(IntEnum):
    """What happened to the set of votes since the last evaluation; the larger one counts."""

    NONE = 0
    UPDATED = 1
    CHANGED = 2


@dataclass(slots=True)
class CoinState:
    """Mutable state of one coin.

    `is_heard` is False while no connection carries its trades: frames of other coins or books on the same connection
    then say nothing about it. `watermark_ms` is the newest exchange time seen, or a timer's deadline. `seen` holds
    trades by (time, tid), `halves` fills that came through an account's own channel by (user, time, tid, is_buy).
    """

    coin: str
    figures: AssetFigures
    vote_set: VoteSet
    connection: Connection = field(default_factory=Connection)
    is_heard: bool = True
    is_book_subscribed: bool = True
    book: Book | None = None
    context: AssetContext | None = None
    context_received_ms: int | None = None
    clock_offset_ms: int | None = None
    watermark_ms: int = 0
    unknown_reason: str | None = None
    life_ms: int = 0
    is_votable: bool = False
    first_expiry_ms: int | None = None
    change: Change = Change.NONE
    last_key: str | None = None
    last_signal_ms: int | None = None
    followed: list[Followed] = field(default_factory=list)
    seen: SeenKeys = field(default_factory=SeenKeys)
    halves: SeenKeys = field(default_factory=SeenKeys)
    electorate: Electorate = field(default_factory=Electorate)

    @classmethod
    def of(cls, coin: str, figures: AssetFigures) -> CoinState:
        """A coin of which nothing is known but its figures."""
        return cls(coin, figures, vote_set=VoteSet(coin))

    def adopt(self, figures: AssetFigures, params: ConsensusParams) -> None:
        """Take the figures of a newly activated snapshot: life of a vote, and whether votes are taken at all."""
        self.figures = figures
        self.life_ms = life_ms(figures.volatility.percentile if figures.volatility else None, params)
        volume = figures.day_volume_usd
        self.is_votable = self.coin in MAJORS or (volume is not None and volume >= params.min_day_volume_usd)

    @property
    def stop_fraction(self) -> float | None:
        """Stop fraction in force, without the regime's factor."""
        return self.figures.volatility.stop_fraction if self.figures.volatility else None

    @property
    def feed_last_frame_ms(self) -> int | None:
        """When the connection that carries its trades spoke last; None while none does."""
        return self.connection.last_frame_ms if self.is_heard else None

    @property
    def episode_stop(self) -> float | None:
        """The stop that R of an episode opened now is measured in; None where only the last fallback is known: R over a
        guessed stop is unknown, and is not learnt from.
        """
        estimate = self.figures.volatility
        is_guessed = estimate is None or estimate.source is VolatilitySource.FALLBACK
        return None if is_guessed else self.stop_fraction

    @property
    def funding(self) -> tuple[float | None, int | None]:
        """(hourly funding rate, its instant): the venue's live figure if it is newer than the snapshot's."""
        known_ms, live_ms = self.figures.costs_as_of_ms, self.context_received_ms
        if self.context is not None and live_ms is not None and (known_ms is None or live_ms >= known_ms):
            return self.context.funding_rate, live_ms
        return self.figures.funding_rate_hourly, known_ms

    def mark_near(self, time_ms: int) -> Decimal | None:
        """The venue's mark, or the mid of the book, received within a minute of an instant; None otherwise."""
        if self.context is not None and _is_near(self.context_received_ms, time_ms):
            return self.context.mark_px
        book = self.book
        if book is not None and book.mid is not None and _is_near(book.received_ms, time_ms):
            return (book.bids[0].px + book.asks[0].px) / 2
        return None

    def on_book(self, book: Book) -> None:
        """A new book: also what the venue's clock is compared with."""
        self.book = book
        self.clock_offset_ms = book.received_ms - book.time_ms
        self.connection.heard(book.received_ms)

    def on_context(self, context: AssetContext, received_ms: int) -> None:
        """New figures of the venue."""
        self.context, self.context_received_ms = context, received_ms
        self.connection.heard(received_ms)

    def note(self, change: Change) -> None:
        """The set of votes changed."""
        self.change = max(self.change, change)


def _is_near(received_ms: int | None, time_ms: int) -> bool:
    return received_ms is not None and abs(received_ms - time_ms) <= MARK_MAX_AGE_MS
