"""A small world for the engine: a pool of good independent traders, fresh inputs, and events that drive it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BookUpdated,
    Event,
    FeedStatus,
    PositionsPrimed,
    SnapshotActivated,
    TimerFired,
    TradesReceived,
)
from sigmapilot_core.domain.engine.outputs import DecisionMade, NextTimer, Output
from sigmapilot_core.domain.events import Book, Level, Trade
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import Regime, RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate, VolatilitySource
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.snapshot import AssetFigures, FastPart, ModelSnapshot, PoolFlavour, PoolMember, SlowPart
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.posterior import Posterior
from sigmapilot_core.domain.venue import Position

T0 = 20_000 * DAY_MS + 3_600_000
MARKET_MAKER = "0x" + "f" * 40
GOOD = Posterior(m=0.6, kappa=41.0, alpha=23.0, beta=15.0)  # 40 episodes of mean .61 R
O = TypeVar("O")  # noqa: E741 - the output type asked for


def trader(number: int) -> str:
    """Address of a trader."""
    return f"0x{number:040x}"


POOL = tuple(trader(number) for number in range(1, 6))


def figures(coin: str = "BTC", price: float = 50_000.0, **changes: Any) -> AssetFigures:
    """2 % stop, middle percentile, trending, cheap funding; all computed at T0."""
    values: dict[str, Any] = {
        "coin": coin,
        "sz_decimals": 5,
        "volatility": VolatilityEstimate(coin, price / 100, price, 0.01, 0.02, 50.0, VolatilitySource.ATR, T0, T0),
        "regime": RegimeEstimate(coin, Regime.TRENDING, 0.5, 0.03, 1.0, 60, T0, T0),
        "funding_rate_hourly": 0.00001,
        "day_volume_usd": 5e8,
        "costs_as_of_ms": T0,
    }
    return AssetFigures(**(values | changes))


def snapshot(
    pool: Sequence[str] = POOL,
    assets: Iterable[AssetFigures] = (),
    tracked: Sequence[str] = (),
    version: int = 1,
    **slow: Any,
) -> ModelSnapshot:
    """Pool members who were good and independent of each other; BTC and ETH unless told."""
    ordered = sorted(pool)
    values: dict[str, Any] = {
        "selection_version": 1,
        "selected_on": "2024-10-04",
        "pool": tuple(PoolMember(address, rank, GOOD, 40.0, 40) for rank, address in enumerate(pool, 1)),
        "rho0": 0.1,
        "pairs": tuple(
            PairCorrelation(a, b, 0.05, 40, 5, None) for i, a in enumerate(ordered) for b in ordered[i + 1 :]
        ),
        "hold_hours": {"BTC": HoldEstimate(12.0, "episodes", 20)},
        "tracked": tuple(tracked),
        "posterior_as_of_ms": T0,
        "correlation_as_of_ms": T0,
        "leaderboard_as_of_ms": T0,
    }
    chosen = tuple(assets) or (figures("BTC"), figures("ETH", 2_500.0))
    return ModelSnapshot(
        version=version,
        slow_version=1,
        fast_version=1,
        mode="demo",
        pool_flavour=PoolFlavour.NORMAL,
        slow=SlowPart(**(values | slow)),
        fast=FastPart({item.coin: item for item in chosen}),
        settings=Params(),
        published_at_ms=T0,
    )


def account(at_ms: int) -> RiskState:
    """A paper account of 100 000 USD without positions."""
    return RiskState(account=RiskAccount(at_ms, 100_000.0, 0.0, ()), day=at_ms // DAY_MS, opening_equity_usd=100_000.0)


def book(coin: str = "BTC", mid: float = 50_000.0, at_ms: int = T0, depth: int = 10) -> Book:
    """A book of 1 bp steps around a mid, deep enough for the sizes used."""
    step = Decimal(str(mid)) / 10_000
    sides = [
        tuple(Level(Decimal(str(mid)) + sign * step * (i + 1), Decimal(10), 1) for i in range(depth))
        for sign in (-1, 1)
    ]
    return Book(coin, at_ms, at_ms, sides[0], sides[1])


@dataclass
class World:
    """An engine, the events it was given and what it said."""

    engine: Engine = field(default_factory=lambda: Engine("p0"))
    now_ms: int = T0
    seq: int = 0
    tid: int = 0
    events: list[Event] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    deadline_ms: int | None = None

    @classmethod
    def ready(cls, model: ModelSnapshot | None = None, is_primed: bool = True, **state: Any) -> World:
        """Snapshot active, everybody primed and flat, account and books fresh."""
        world = cls(**state)
        world.activate(model or snapshot())
        if is_primed:
            for address in list(world.engine.unprimed):
                world.prime(address)
        world.refresh()
        return world

    def apply(self, event: Event) -> list[Output]:
        """Give the engine an event; returns its outputs."""
        found = self.engine.apply(event)
        self.events.append(event)
        self.outputs += found
        for output in found:
            if isinstance(output, NextTimer):
                self.deadline_ms = output.deadline_ms
        return found

    def next_seq(self) -> int:
        """The next sequence number."""
        self.seq += 1
        return self.seq

    def activate(self, model: ModelSnapshot) -> list[Output]:
        """A snapshot becomes active."""
        return self.apply(SnapshotActivated(model, self.now_ms, self.next_seq()))

    def prime(self, user: str, as_of_ms: int | None = None, **sizes: Any) -> list[Output]:
        """The venue's answer about an account: position by coin, flat elsewhere."""
        positions = tuple(Position(coin, Decimal(str(size)), Decimal(50_000)) for coin, size in sizes.items())
        at_ms = self.now_ms - 1 if as_of_ms is None else as_of_ms
        return self.apply(PositionsPrimed(user, positions, at_ms, self.now_ms, self.next_seq()))

    def refresh(self, mid: float = 50_000.0, coins: Sequence[str] = ("BTC",)) -> None:
        """Fresh books, account and feed."""
        for coin in coins:
            self.apply(BookUpdated(book(coin, mid, self.now_ms), self.next_seq()))
        self.apply(AccountUpdated(account(self.now_ms), self.now_ms, self.next_seq()))
        self.apply(FeedStatus("c0", tuple(coins), tuple(coins), self.now_ms, self.now_ms, self.next_seq()))

    def trade(
        self, user: str, side: str, sz: Any = 1, px: Any = 50_000, coin: str = "BTC", at_ms: int | None = None
    ) -> Trade:
        """A public trade of a trader with the market maker."""
        self.tid += 1
        is_buy = side == "buy"
        return Trade(
            coin=coin,
            px=Decimal(str(px)),
            sz=Decimal(str(sz)),
            time_ms=self.now_ms if at_ms is None else at_ms,
            tid=self.tid,
            hash="0x1",
            buyer=user if is_buy else MARKET_MAKER,
            seller=MARKET_MAKER if is_buy else user,
            aggressor_is_buyer=is_buy,
        )

    def send(self, *trades: Trade, is_history: bool = False) -> list[Output]:
        """One frame of trades, received now."""
        return self.apply(TradesReceived(trades, self.now_ms, self.next_seq(), is_history))

    def fill(self, user: str, side: str, sz: Any = 1, px: Any = 50_000, **more: Any) -> list[Output]:
        """One trade in a frame of its own."""
        return self.send(self.trade(user, side, sz, px, **more))

    def wait(self, seconds: float) -> None:
        """Time passes; timers that fall due fire at their deadlines."""
        until_ms = self.now_ms + round(seconds * 1000)
        while self.deadline_ms is not None and self.deadline_ms <= until_ms:
            self.now_ms = max(self.now_ms, self.deadline_ms)
            self.apply(TimerFired(self.deadline_ms, self.next_seq()))
        self.now_ms = until_ms

    def said(self, kind: type[O]) -> list[O]:
        """All outputs of one type so far."""
        return [output for output in self.outputs if isinstance(output, kind)]

    def consensus(
        self, side: str = "buy", users: Sequence[str] = POOL[:3], px: Any = 50_000, sz: Any = 1
    ) -> DecisionMade:
        """Traders act a second apart; the last decision is returned."""
        for user in users:
            self.now_ms += 1000
            self.refresh(float(px))
            self.fill(user, side, sz, px)
        return self.said(DecisionMade)[-1]


def replayed(events: Sequence[Event]) -> list[Output]:
    """Outputs of a fresh engine over the same events."""
    engine = Engine("p0")
    return [output for event in events for output in engine.apply(event)]


def with_figures(model: ModelSnapshot, coin: str, **changes: Any) -> ModelSnapshot:
    """The snapshot with some figures of one coin changed, as the next version."""
    assets = {**model.fast.assets, coin: replace(model.fast.assets[coin], **changes)}
    return replace(model, version=model.version + 1, fast=FastPart(assets))
