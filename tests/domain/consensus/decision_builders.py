"""Inputs of a decision that passes every gate and every risk check, to be spoilt one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sigmapilot_core.domain.consensus.decision import decide
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.record import Decision
from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import Regime, RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate, VolatilitySource
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, Params
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.snapshot import settings_hash
from sigmapilot_core.domain.traders.correlation import PairCorrelation

NOW = 20_000 * DAY_MS + 3 * HOUR_MS
PARAMS = Params()
LONG, SHORT = Direction.LONG, Direction.SHORT
MID = Decimal(50_000)


def voter(number: int, direction: Direction = LONG, **changes: Any) -> Voter:
    """A good trader (40 episodes, mean about .6 R) who acted `number` seconds ago at the mid with 200 000 USD."""
    values: dict[str, Any] = {
        "address": f"0x{number}",
        "direction": direction,
        "voted_at_ms": NOW - 1000 * number,
        "price": MID,
        "notional": Decimal(200_000),
        "fill_ids": (f"0x{number}:{NOW - 1000 * number}:BTC:{number}",),
        "m": 0.6,
        "kappa": 41.0,
        "alpha": 23.0,
        "beta": 15.0,
        "n_episodes": 40,
    }
    return Voter(**(values | changes))


def voters(longs: int, shorts: int = 0, **changes: Any) -> tuple[Voter, ...]:
    """So many voters on each side."""
    sides = [LONG] * longs + [SHORT] * shorts
    return ordered(voter(number, side, **changes) for number, side in enumerate(sides, 1))


def ordered(found: Any) -> tuple[Voter, ...]:
    """In the order in which inputs hold them."""
    return tuple(sorted(found, key=lambda item: (item.voted_at_ms, item.address)))


def pairs(found: Sequence[Voter], rho: float | None = 0.05) -> tuple[PairCorrelation, ...]:
    """Every pair measured with the same correlation."""
    addresses = sorted(item.address for item in found)
    return tuple(PairCorrelation(a, b, rho, 40, 5, None) for i, a in enumerate(addresses) for b in addresses[i + 1 :])


def side_of_book(mid: Decimal, sign: int, depth: int = 10) -> tuple[Level, ...]:
    """Levels of 5 BTC, 1 USD apart, from 1 USD off the mid."""
    return tuple(Level(mid + sign * (1 + i), Decimal(5)) for i in range(depth))


def book(mid: Decimal = MID, at_ms: int = NOW) -> Book:
    """A book without a surprise."""
    return Book("BTC", at_ms, at_ms, side_of_book(mid, -1), side_of_book(mid, 1))


def risk(**account: Any) -> RiskState:
    """A paper account of 100 000 USD without positions."""
    values: dict[str, Any] = {"as_of_ms": NOW, "equity_usd": 100_000.0, "maintenance_margin_usd": 0.0}
    return RiskState(RiskAccount(**(values | account)), day=NOW // DAY_MS, opening_equity_usd=100_000.0)


def inputs(found: Sequence[Voter] = (), rho: float | None = 0.05, **changes: Any) -> DecisionInputs:
    """Three independent good traders who bought BTC within two seconds; everything else fresh and known."""
    chosen = tuple(found) or voters(3)
    values: dict[str, Any] = {
        "asset": "BTC",
        "now_ms": NOW,
        "trigger_event_id": "p0-1",
        "mode": "demo",
        "snapshot_version": 1,
        "snapshot_hash": "ab" * 32,
        "settings_hash": settings_hash(PARAMS),
        "voters": chosen,
        "pairs": pairs(chosen, rho),
        "rho0": 0.1,
        "book": book(),
        "venue_clock_offset_ms": 40,
        "feed_last_frame_ms": NOW,
        "volatility": VolatilityEstimate(
            "BTC", 500.0, 50_000.0, 0.01, 0.02, 50.0, VolatilitySource.ATR, NOW - 1000, NOW - 1000
        ),
        "regime": RegimeEstimate("BTC", Regime.TRENDING, 0.5, 0.03, 1.0, 60, NOW - 1000, NOW - 1000),
        "funding_rate_hourly": 0.00001,
        "costs_as_of_ms": NOW,
        "hold": HoldEstimate(12.0, "episodes", 20),
        "posterior_as_of_ms": NOW,
        "correlation_as_of_ms": NOW,
        "leaderboard_as_of_ms": NOW,
        "risk": risk(),
    }
    return DecisionInputs(**(values | changes))


def decided(found: Sequence[Voter] = (), params: Params = PARAMS, **changes: Any) -> Decision:
    """The decision on such inputs."""
    made = inputs(found, **changes)
    return decide(replace(made, settings_hash=settings_hash(params)), params)


def not_passed(decision: Decision) -> dict[str, bool | None]:
    """Gates that did not pass, with False or None."""
    return {result.name: result.passed for result in decision.gates if result.passed is not True}


def mirrored(made: DecisionInputs) -> DecisionInputs:
    """Buys for sells, prices reflected around the mid."""
    assert made.book is not None
    mid = (made.book.bids[0].px + made.book.asks[0].px) / 2
    flip = {LONG: SHORT, SHORT: LONG}

    def reflect(levels: Sequence[Level]) -> tuple[Level, ...]:
        return tuple(replace(level, px=2 * mid - level.px) for level in levels)

    return replace(
        made,
        voters=tuple(
            replace(v, direction=flip[v.direction], price=None if v.price is None else 2 * mid - v.price)
            for v in made.voters
        ),
        book=replace(made.book, bids=reflect(made.book.asks), asks=reflect(made.book.bids)),
    )
