"""A simulated world as a record of what could be observed of it. Who is good is not in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.record import FILL, Minutes, VenueRecord
from sigmapilot_core.domain.events import Book
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.simulation import boards, ticks
from sigmapilot_core.domain.simulation.orders import Flag
from sigmapilot_core.domain.simulation.tape import trade_ids
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import LeaderboardRow

BOOK_DEPTH = 5


def record_of(world: World) -> VenueRecord:
    """The history of a world, of every account that the leaderboard can list."""
    settings = world.settings
    masters = world.population.traits["master"]
    boards_seen: dict[int, Sequence[LeaderboardRow]] = {}

    def board(at_ms: int) -> Sequence[LeaderboardRow]:
        if at_ms not in boards_seen:
            boards_seen[at_ms] = boards.leaderboard(world, at_ms)
        return boards_seen[at_ms]

    def book(coin: int, time_ms: int) -> Book:
        return world.exchange.book(coin, time_ms, BOOK_DEPTH)

    return VenueRecord(
        addresses=world.population.addresses[: world.population.traders],
        coins=settings.coin_names,
        sz_decimals=tuple(coin.sz_decimals for coin in settings.coins),
        start_ms=settings.start_ms,
        end_ms=world.now_ms,
        fills=_halves(world),
        minutes=_minutes(world),
        hours=tuple(
            tuple(
                bar
                for bar in world.candles.bars(c, HOUR_MS, settings.start_ms, world.now_ms)
                if bar.close_ms <= world.now_ms
            )
            for c in range(len(settings.coins))
        ),
        funding_times=world.accounts.funding_times.view().copy(),
        funding_rates=world.accounts.funding_rates.view().copy(),
        board=board,
        book=book,
        masters=frozenset(np.unique(masters[masters >= 0]).tolist()),
    )


def _halves(world: World) -> NDArray[np.void]:
    """Both halves of every trade, the buyer's first, of listed accounts; a trade with oneself moves nothing."""
    rows = world.tape.rows()
    rows = rows[rows["buyer"] != rows["seller"]]
    tids = trade_ids(rows)
    halves = np.zeros(2 * len(rows), dtype=FILL)
    liquidated = (rows["flags"] & Flag.LIQUIDATION) > 0
    for offset, side, sign in ((0, "buyer", 1), (1, "seller", -1)):
        half = halves[offset::2]
        for name in ("t", "coin", "px"):
            half[name] = rows[name]
        half["user"], half["lots"], half["start"] = rows[side], sign * rows["sz"], rows[f"{side}_start"]
        half["oid"], half["tid"] = rows[f"{side}_oid"], tids
        half["crossed"] = rows["is_buyer_taker"] == (sign > 0)
        half["is_liquidation"] = liquidated & (rows["is_buyer_owner"] == (sign > 0))
    return halves[halves["user"] < world.population.traders]


def _minutes(world: World) -> Minutes:
    candles = world.candles.view()
    decimals = np.array([coin.sz_decimals for coin in world.settings.coins])
    unit, lot = ticks.units_per_usd(decimals), 10.0**decimals
    opened, high, low, close = (candles[name] / unit for name in ("open", "high", "low", "close"))
    return Minutes(world.settings.start_ms, opened, high, low, close, candles["volume"] / lot)
