"""The world as a venue shows it: prices, trades, accounts, leaderboard. Nothing here says who is good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.simulation import boards, margin, ticks
from sigmapilot_core.domain.simulation.behaviour import Idea
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.live import InputKind, WorldInput
from sigmapilot_core.domain.simulation.statement import Statement
from sigmapilot_core.domain.simulation.tape import TradeBatch
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    CashFlow,
    FundingPayment,
    FundingRate,
    LeaderboardRow,
    PortfolioHistory,
    SubAccount,
    TwapSlice,
)


class WorldSource:
    """A `ports.VenueSource` over a simulated world, plus the two inputs from outside: readiness and single events.

    Time ranges include both ends; candles are those that open in the range, the last one may be unfinished. Unknown
    addresses are empty accounts, unknown coins a ValueError.
    """

    __slots__ = ("_statements", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._statements: dict[int, Statement] = {}

    @property
    def now_ms(self) -> int:
        """The instant of the last advance."""
        return self._world.now_ms

    @property
    def assets(self) -> Sequence[AssetSpec]:
        """The universe; the position is the asset id."""
        return margin.assets(self._world)

    @property
    def inputs(self) -> tuple[WorldInput, ...]:
        """Everything put in from outside so far: with it and the settings the world can be made again."""
        return self._world.staging.inputs

    def advance(self, to_ms: int) -> Sequence[Trade]:
        """Move to an instant; the trades until then, in order. Errors: ValueError for an instant in the past."""
        first, last = self._world.advance(to_ms)
        return TradeBatch(self._world.tape, np.arange(first, last))

    def mark_ready(self, at_ms: int) -> None:
        """The consumer is ready: in the demo profile, frequent news begins 30-60 s later. Otherwise nothing happens."""
        self._world.put(WorldInput(InputKind.READY, at_ms))

    def led_coin(self, after_ms: int) -> str | None:
        """The coin in which the leader of a copied group has acted on an idea of his own after an instant, if any."""
        trips = self._world.desk.open_trips
        led = trips[(trips["idea"] == Idea.STAGED) & (trips["t"] > after_ms)]
        return self._world.settings.coin_names[int(led[0]["coin"])] if len(led) else None

    def inject_event(self, kind: str, coin: str, direction: int, sigmas: float, at_ms: int) -> None:
        """Start an event by hand: kind `info` or `herd`, direction 1 or -1, size in hourly sigmas.

        Errors: ValueError for another kind, an unknown coin, a value out of range or an instant in the past.
        """
        if kind not in (InputKind.INFO, InputKind.HERD):
            raise ValueError(f"kind is {kind!r}; allowed is info or herd.")
        self._world.put(WorldInput(InputKind(kind), at_ms, coin, direction, sigmas))

    def context(self, coin: str) -> AssetContext:
        """Market figures of a coin now."""
        world, index = self._world, self._coin(coin)
        decimals = world.settings.coins[index].sz_decimals
        mark = world.path.marks_at(world.now_ms)
        book = world.exchange.book(index, world.now_ms, 1)
        longs = int(np.maximum(world.accounts.now.position[:, index], 0).sum())
        base = world.settings.coins[index].open_interest_usd / world.settings.coins[index].start_px
        rates = world.accounts.funding_rates.view()
        return AssetContext(
            coin=coin,
            time_ms=world.now_ms,
            mark_px=ticks.px_decimal(int(mark[index]), decimals),
            oracle_px=ticks.px_decimal(int(world.premium.oracle(mark)[index]), decimals),
            mid_px=(book.bids[0].px + book.asks[0].px) / 2,
            prev_day_px=ticks.px_decimal(int(world.candles.closes_before(24)[index]), decimals),
            day_notional_volume=world.candles.day_volume_usd(index),
            open_interest=base + longs / 10.0**decimals,
            funding_rate=float(rates[-1, index]) if len(rates) else 0.0,
            premium=float(world.premium.value[index]),
        )

    def book(self, coin: str, depth: int = 20) -> Book | None:
        """The book of a coin now."""
        return self._world.exchange.book(self._coin(coin), self._world.now_ms, depth)

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Candles that open in [start, end]. Errors: ValueError for an interval that is not whole minutes."""
        return self._world.candles.bars(self._coin(coin), interval_ms, start_ms, min(end_ms, self.now_ms))

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Hourly rates and premiums of a coin."""
        index, accounts = self._coin(coin), self._world.accounts
        times = accounts.funding_times.view()
        first, last = np.searchsorted(times, [start_ms, end_ms + 1])
        rates = accounts.funding_rates.view()[first:last, index].tolist()
        premiums = self._world.premium.history.view()[first:last, index].tolist()
        return [
            FundingRate(coin, t, rate, premium)
            for t, rate, premium in zip(times[first:last].tolist(), rates, premiums, strict=True)
        ]

    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]:
        """The newest trades of a coin, oldest first."""
        tape = self._world.tape
        return tape.trades(tape.recent(self._coin(coin), limit))

    def users(self) -> Iterable[str]:
        """All accounts."""
        return self._world.population.addresses

    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills in order of execution, without slices of time-weighted orders."""
        statement = self._statement(user)
        return [fill for _, fill in statement.fills(start_ms, end_ms, twap=False)] if statement else []

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]:
        """Slices of the account's time-weighted orders."""
        statement = self._statement(user)
        found = statement.fills(start_ms, end_ms, twap=True) if statement else []
        return [TwapSlice(twap_id, fill) for twap_id, fill in found]

    def account(self, user: str) -> AccountState:
        """Positions and margin at the present marks."""
        index, statement = self._index(user), self._statement(user)
        if index is None or statement is None:
            return margin.empty_state(user, self.now_ms)
        return margin.account_state(self._world, index, statement)

    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]:
        """Hourly payments of the account's positions, by time."""
        index = self._index(user)
        if index is None:
            return []
        held, paid = boards.funding_rows(self._world, index)
        times = self._world.accounts.funding_times.view()
        inside = (times >= start_ms) & (times <= end_ms)
        hours, coins = np.nonzero((held != 0) & inside[:, None])
        rates = self._world.accounts.funding_rates.view()
        coin_settings = self._world.settings.coins
        return [
            FundingPayment(
                user=user,
                coin=coin_settings[c].coin,
                time_ms=int(times[h]),
                usdc=ticks.usd_decimal(int(paid[h, c])),
                size=ticks.sz_decimal(int(held[h, c]), coin_settings[c].sz_decimals),
                rate=float(rates[h, c]),
            )
            for h, c in zip(hours.tolist(), coins.tolist(), strict=True)
        ]

    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]:
        """Deposits and withdrawals of the account, by time."""
        index = self._index(user)
        flows = self._world.accounts.flows(start_ms - 1, end_ms)
        return [
            CashFlow(user, t, ticks.usd_decimal(amount), "deposit" if amount > 0 else "withdraw")
            for t, account, amount in flows.tolist()
            if account == index
        ]

    def portfolio(self, user: str) -> Sequence[PortfolioHistory]:
        """Charts of account value and PnL over day, week, month and all time."""
        index = self._index(user)
        return boards.portfolio(self._world, index) if index is not None else []

    def sub_accounts(self, user: str) -> Sequence[SubAccount]:
        """Sub-accounts of a master."""
        index = self._index(user)
        if index is None:
            return []
        population = self._world.population
        subs = np.flatnonzero(population.traits["master"] == index).tolist()
        return [SubAccount(f"sub-{k + 1}", population.addresses[sub], user) for k, sub in enumerate(subs)]

    def master_of(self, user: str) -> str | None:
        """The master of a sub-account."""
        index = self._index(user)
        population = self._world.population
        if index is None or population.kind[index] != Kind.SUB:
            return None
        return population.addresses[int(population.traits["master"][index])]

    def leaderboard(self, as_of_ms: int | None = None) -> Sequence[LeaderboardRow]:
        """The leaderboard now, or as of any past instant. Errors: ValueError for one outside the world's."""
        at = self.now_ms if as_of_ms is None else as_of_ms
        if not self._world.settings.start_ms <= at <= self.now_ms:
            raise ValueError(f"as_of_ms is {at}; allowed is {self._world.settings.start_ms} to {self.now_ms}.")
        return boards.leaderboard(self._world, at)

    def _statement(self, user: str) -> Statement | None:
        index = self._index(user)
        if index is None:
            return None
        if index not in self._statements:
            self._statements[index] = Statement(index, self._world.tape, self._world.accounts)
        return self._statements[index]

    def _index(self, user: str) -> int | None:
        return self._world.population.index_of.get(user.lower())

    def _coin(self, coin: str) -> int:
        names = self._world.settings.coin_names
        if coin not in names:
            raise ValueError(f"coin is {coin!r}; allowed is one of {', '.join(names)}.")
        return names.index(coin)
