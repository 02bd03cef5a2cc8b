"""Many fills of one account in one coin without a frozen state between them: the fast form of `episodes.on_fill`.

Most fills only add to a position or take a part of it away. Those are summed in place; every other one (an opening, a
close, a flip, a correction, a late or overdue fill) goes through the step itself. The arithmetic is the step's, one
operation after another, so that not even an exponent differs; a property test holds both forms to each other.
"""

from __future__ import annotations

from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Fill, Source
from sigmapilot_core.domain.frozen import changed
from sigmapilot_core.domain.params import EpisodeParams
from sigmapilot_core.domain.traders.episode import OpenEpisode
from sigmapilot_core.domain.traders.episodes import EpisodeState, deadline_ms, estimated_fee
from sigmapilot_core.domain.traders.ledger import COST_QUANTUM

_PLUS, _MINUS = Decimal(1), Decimal(-1)
_NEVER = -1


class AccountFold:
    """The state between two fills that is not frozen. `add` says whether it took the fill; `state` freezes it."""

    __slots__ = (
        "_added", "_cost", "_due_ms", "_entry_fills", "_entry_notional", "_entry_size", "_exit_notional",
        "_exit_size", "_fees", "_frozen", "_held", "_is_anchored", "_is_estimated", "_is_long", "_known_since_ms",
        "_params", "_position", "_realised", "_size", "_source", "_time_ms", "_total",
    )  # fmt: skip

    def __init__(self, state: EpisodeState, params: EpisodeParams) -> None:
        self._frozen, self._params, self._added = state, params, 0
        held, episode = state.ledger, state.open
        self._due_ms = _NEVER
        if episode is None or not held.position:
            return
        self._due_ms = deadline_ms(episode, params)
        self._time_ms, self._is_anchored = held.time_ms, held.is_anchored
        self._position, self._held, self._is_long = held.position, abs(held.position), held.position > 0
        self._cost, self._total = held.cost, held.realised
        self._size, self._entry_size, self._entry_notional = episode.size, episode.entry_size, episode.entry_notional
        self._exit_size, self._exit_notional = episode.exit_size, episode.exit_notional
        self._realised, self._fees, self._is_estimated = episode.realised, episode.fees, episode.fees_estimated
        self._entry_fills = 0
        self._source, self._known_since_ms = episode.source, episode.known_since_ms

    def add(self, fill: Fill) -> bool:
        """Take a fill that neither opens nor closes anything; False, and nothing done, for every other one."""
        time_ms, start, sz, px = fill.time_ms, fill.start_position, fill.sz, fill.px
        if time_ms >= self._due_ms or time_ms < self._time_ms:
            return False
        if start is not None and (start != self._position or not self._is_anchored):
            return False
        if not (sz.is_finite() and px.is_finite() and sz > ZERO and px > ZERO):
            return False
        is_buy = fill.is_buy
        is_increase = is_buy is self._is_long
        if is_increase:
            self._increase(sz, px)
        elif sz < self._held:
            self._reduce(sz, px)
        else:
            return False
        self._position += sz if is_buy else -sz
        self._held = abs(self._position)
        if is_increase and self._held > self._size:
            self._size = self._held
        self._time_ms = time_ms
        self._added += 1
        self._pay(fill)
        return True

    def state(self) -> EpisodeState:
        """The state after all fills taken so far."""
        if not self._added:
            return self._frozen
        held, episode = self._frozen.ledger, self._frozen.open
        assert episode is not None, "without an open episode no fill is taken"
        after = changed(
            held,
            position=self._position,
            cost=self._cost,
            realised=self._total,
            time_ms=self._time_ms,
            fill_count=held.fill_count + self._added,
        )
        return EpisodeState(after, self._episode(episode), self._frozen.is_ignored)

    def _episode(self, episode: OpenEpisode) -> OpenEpisode:
        return changed(
            episode,
            size=self._size,
            entry_size=self._entry_size,
            entry_notional=self._entry_notional,
            exit_size=self._exit_size,
            exit_notional=self._exit_notional,
            realised=self._realised,
            fees=self._fees,
            fees_estimated=self._is_estimated,
            entry_fill_count=episode.entry_fill_count + self._entry_fills,
            exit_fill_count=episode.exit_fill_count + self._added - self._entry_fills,
            add_count=episode.add_count + self._entry_fills,
            source=self._source,
            known_since_ms=self._known_since_ms,
        )

    def _increase(self, sz: Decimal, px: Decimal) -> None:
        opened = sz - ZERO
        notional = opened * px
        if self._cost is not None:
            self._cost += notional if self._is_long else -notional
        self._total += ZERO
        self._entry_size += opened
        if self._entry_notional is not None:
            self._entry_notional += notional
        self._entry_fills += 1

    def _reduce(self, sz: Decimal, px: Decimal) -> None:
        if self._cost is None:
            self._realised = None
        else:
            removed = (self._cost * sz / self._held).quantize(COST_QUANTUM)
            realised = (_PLUS if self._is_long else _MINUS) * sz * px - removed
            self._total += realised
            self._cost -= removed
            if self._realised is not None:
                self._realised += realised
        self._exit_size += sz
        self._exit_notional += sz * px

    def _pay(self, fill: Fill) -> None:
        fee = fill.fee
        if fee is None:
            self._fees += estimated_fee(fill, self._params)
            self._is_estimated = True
        else:
            self._fees += fee
        if fill.source is not self._source:
            self._source = Source.BACKFILL
        known_ms = fill.known_since_ms
        if known_ms is not None and (self._known_since_ms is None or known_ms > self._known_since_ms):
            self._known_since_ms = known_ms
