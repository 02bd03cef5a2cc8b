"""The world: prices, news, wishes, trades and accounts in one order of time, extended window by window.

World = f(settings, inputs). A block (a day of minutes in history, an hour of seconds live) fixes what does not depend
on its windows; within it, windows may be of any size: the same trades come out, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation import behaviour, orders, ticks
from sigmapilot_core.domain.simulation.accounts import FLOW, Accounts, hour_after
from sigmapilot_core.domain.simulation.behaviour import Behaviour, Idea
from sigmapilot_core.domain.simulation.candles import Candles
from sigmapilot_core.domain.simulation.cashflow import planned_flows
from sigmapilot_core.domain.simulation.desk import Desk
from sigmapilot_core.domain.simulation.execution import Exchange
from sigmapilot_core.domain.simulation.flows import BackgroundFlow, InventoryFlow
from sigmapilot_core.domain.simulation.funding import Premium
from sigmapilot_core.domain.simulation.live import InputKind, Staging, WorldInput
from sigmapilot_core.domain.simulation.market import BaseBlock, BaseMarket, RegimeTimeline
from sigmapilot_core.domain.simulation.news import Origin, Overlay, natural_events
from sigmapilot_core.domain.simulation.path import SECOND_MS, PricePath
from sigmapilot_core.domain.simulation.plans import Planner, no_plans
from sigmapilot_core.domain.simulation.population import build_population
from sigmapilot_core.domain.simulation.settings import Profile, WorldSettings
from sigmapilot_core.domain.simulation.tape import Tape


class World:
    """Everything there is. `source.WorldSource` shows of it what a venue shows, `truth.Truth` what nobody can see."""

    def __init__(self, settings: WorldSettings, inputs: Sequence[WorldInput] = ()) -> None:
        self.settings = settings
        self.population = build_population(settings)
        self.regimes = RegimeTimeline(settings)
        self.path = PricePath(settings)
        self.overlay = Overlay(len(settings.coins))
        self.tape = Tape(settings, self.population)
        self.accounts = Accounts(settings, self.population, self.tape)
        self.candles = Candles(settings)
        self.exchange = Exchange(settings, self.path)
        self.premium = Premium(settings, self.path)
        self.behaviour = Behaviour(settings, self.population, self.regimes)
        self.desk = Desk(self.population, self.path)
        self.closed_trips: list[NDArray[np.void]] = []
        self.staging = Staging(settings, self.population, self.path)
        self._market = BaseMarket(settings, self.regimes)
        self._planner = Planner(settings, self.population, self.path)
        self._orders = orders.OrderDesk(settings, self.population)
        self._inventory = InventoryFlow(settings, self.population, self._orders)
        self._background = BackgroundFlow(settings, self.population, self._orders)
        self._pending = orders.Pending()
        self._wishes = behaviour.no_wishes()
        self._flows = np.zeros(0, dtype=FLOW)
        self._px_units = ticks.units_per_usd([coin.sz_decimals for coin in settings.coins])
        self._decimals = np.array([coin.sz_decimals for coin in settings.coins])
        self._day_equity = self.accounts.now.cash.copy()
        self.now_ms = settings.start_ms
        self._block: BaseBlock | None = None
        for made in inputs:
            self.staging.add(made)
        self.path.append_marks(self._marks(self._market.log_px[None, :]), is_live=False)
        self._plan_flows()
        self.advance(settings.epoch_ms)

    def advance(self, to_ms: int) -> tuple[int, int]:
        """Move to an instant; returns the positions [first, last) on the tape of what was traded on the way.

        Errors: ValueError for an instant in the past.
        """
        if to_ms < self.now_ms:
            raise ValueError(f"to_ms is {to_ms}; allowed is {self.now_ms} or later.")
        first = len(self.tape)
        while self.now_ms < to_ms:
            if self._block is None or self.now_ms >= self._block.end_ms:
                self._block = self._begin_block()
            self._window(self._block, min(to_ms, self._block.end_ms))
        return first, len(self.tape)

    def put(self, made: WorldInput) -> None:
        """Take an input from outside, at or after now. Errors: ValueError for one in the past or out of range."""
        if made.at_ms < self.now_ms:
            raise ValueError(f"at_ms is {made.at_ms}; allowed is {self.now_ms} or later.")
        is_ready = made.kind is InputKind.READY
        if is_ready and self.settings.profile is not Profile.DEMO:
            return
        if is_ready:
            self._forget_staged(made.at_ms)
        self.staging.add(made)
        block = self._block
        if block is not None and self.now_ms < block.end_ms:
            number = len(self.staging.inputs) - 1
            self._stage(*self.staging.between(made.at_ms, block.end_ms, only=number))

    def digest(self) -> str:
        """SHA-256 over trades, books, candles and funding: equal worlds have equal digests."""
        sha = hashlib.sha256()
        books = self.accounts.now
        for part in (
            self.tape.rows(), self.candles.view(), books.position, books.cash, books.volume, books.net_flow,
            self.accounts.funding_times.view(), self.accounts.funding_rates.view(),
        ):  # fmt: skip
            sha.update(np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()

    def _begin_block(self) -> BaseBlock:
        """Generate the next block: base prices, news, wishes, and the flows that do not depend on prices."""
        start = self.now_ms
        is_live = start >= self.settings.live_start_ms
        length, step = (HOUR_MS, SECOND_MS) if is_live else (DAY_MS, MINUTE_MS)
        block = self._market.next_block(start, length // step, step)
        self.path.append_sigma(block.sigma)
        self.overlay.begin_block(start)
        if start == self.settings.live_start_ms:
            self.candles.append_live(np.array([start]), self.path.last[None, :])
        self._stage(natural_events(self.settings, block, self.regimes), behaviour.no_wishes())
        self._stage(*self.staging.between(start, block.end_ms))
        self._add_wishes(self.behaviour.own_ideas(block.index, start, block.end_ms))
        self._pending.add(self._inventory.slices(block.index, start, block.end_ms))
        if is_live:
            self._pending.add(self._background.slices(block.index, start, block.end_ms, self.path.last))
        return block

    def _window(self, block: BaseBlock, to_ms: int) -> None:
        """Everything that happens in (now, to], a part of one block."""
        from_ms = self.now_ms
        self._reveal(block, from_ms, to_ms)
        due = self._wishes["t"] <= to_ms
        plans = no_plans()
        if due.any():
            wishes, self._wishes = behaviour.in_order(self._wishes[due]), self._wishes[~due]
            plans = self._planner.plans(self.behaviour.decided(wishes, self.path), self._day_equity)
        outcome = self.desk.window(plans, from_ms, to_ms)
        if len(outcome.closed):
            self.closed_trips.append(outcome.closed)
        self._pending.add(self._orders.slices(outcome.legs))
        rows = self.exchange.trades(orders.in_order(self._pending.pop(to_ms)))
        self._settle(rows, from_ms, to_ms)
        self.tape.append(rows)
        self.candles.add_trades(rows)
        self.now_ms = to_ms
        if to_ms % DAY_MS == 0:
            self.accounts.keep_midnight(to_ms)
            self._plan_flows()

    def _reveal(self, block: BaseBlock, from_ms: int, to_ms: int) -> None:
        """Append the marks of the grid instants in (from, to]."""
        low, high = (from_ms - block.start_ms) // block.step_ms, (to_ms - block.start_ms) // block.step_ms
        if high <= low:
            return
        times = block.start_ms + block.step_ms * np.arange(low + 1, high + 1, dtype=np.int64)
        marks = self._marks(block.log_px[low:high] + self.overlay.offsets(times))
        is_live = block.start_ms >= self.settings.live_start_ms
        if is_live:
            self.candles.append_live(times, marks)
        else:
            self.candles.append_history(self.path.last, marks, block)
        self.path.append_marks(marks, is_live)

    def _settle(self, rows: NDArray[np.void], from_ms: int, to_ms: int) -> None:
        """Apply trades, cash flows and, at full hours, funding, in order of time."""
        done = 0
        for hour_ms in range(hour_after(from_ms), to_ms + 1, HOUR_MS):
            upto = int(np.searchsorted(rows["t"], hour_ms, side="right"))
            self.accounts.apply_trades(rows[done:upto])
            done = upto
            self.accounts.apply_funding(hour_ms, *self.premium.step(hour_ms))
        self.accounts.apply_trades(rows[done:])
        if len(self._flows) and self._flows["t"][0] <= to_ms:
            upto = int(np.searchsorted(self._flows["t"], to_ms, side="right"))
            self.accounts.apply_flows(self._flows[:upto])
            self._flows = self._flows[upto:]

    def _plan_flows(self) -> None:
        """At a midnight: the day's equity, by which entries are sized, and the day's cash flows."""
        books = self.accounts.now
        self._day_equity = books.equity(self.path.last)
        flat = (books.position == 0).all(axis=1)
        self._flows = planned_flows(
            self.settings.seed, self.now_ms, self.population, self._day_equity, self.desk.dead, flat
        )

    def _stage(self, events: NDArray[np.void], wishes: NDArray[np.void]) -> None:
        self.overlay.add(events)
        self._add_wishes(self.behaviour.reactions(events))
        self._add_wishes(wishes)

    def _add_wishes(self, wishes: NDArray[np.void]) -> None:
        if len(wishes):
            self._wishes = np.concatenate([self._wishes, wishes])

    def _forget_staged(self, at_ms: int) -> None:
        """A new readiness ends the demo news of the one before."""
        active = self.overlay.active
        gone = (active["origin"] == Origin.DEMO) & (active["t"] >= at_ms)
        dropped = active["key"][gone]
        self.overlay.drop(~gone)
        staged = (self._wishes["idea"] == Idea.STAGED) & (self._wishes["t"] >= at_ms)
        self._wishes = self._wishes[~staged & ~np.isin(self._wishes["event"], dropped)]

    def _marks(self, log_px: NDArray[np.float64]) -> NDArray[np.int64]:
        return ticks.nearest(np.exp(log_px) * self._px_units, self._decimals)
