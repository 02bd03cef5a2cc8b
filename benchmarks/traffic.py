"""Market traffic for the decision core: orders that sweep several makers, with books and ticks between.

Seeded and built before the clock starts. One frame is one taker order: consecutive fills of one coin in one direction,
as the exchange sends them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BookUpdated,
    Event,
    FeedStatus,
    PositionsPrimed,
    SnapshotActivated,
    TradesReceived,
)
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.snapshot import ModelSnapshot
from tests.domain.engine.engine_builders import T0, account, book, figures, snapshot, trader

TRACKED, VOTERS, COINS, OTHERS = 200, 50, 12, 5_000
BOOK_MS, TICK_MS, ACCOUNT_MS = 500, 250, 5_000


@dataclass(frozen=True, slots=True)
class Load:
    """`share` of all fills is a tracked trader's, the first `voters` of the `tracked` vote, all as often as the others;
    orders come every `order_ms` of market time.
    """

    orders: int
    share: float
    voters: int = VOTERS
    order_ms: int = 10
    trades_per_order: float = 4.0
    seed: int = 1
    tracked: int = TRACKED
    coins: int = COINS

    @property
    def names(self) -> tuple[str, ...]:
        """The coins."""
        return ("BTC", "ETH", *(f"C{number}" for number in range(self.coins - 2)))


def model(load: Load) -> ModelSnapshot:
    """The tracked traders, some of whom vote; the correlation of every pair of voters is measured."""
    tracked = [trader(number) for number in range(1, load.tracked + 1)]
    return snapshot(tracked[: load.voters], [figures(coin) for coin in load.names], tracked)


def opening(load: Load) -> list[Event]:
    """What comes before the first trade: the model, and every tracked trader flat."""
    seq = count(1)
    primed = [PositionsPrimed(trader(n), (), T0 - 1, T0, next(seq)) for n in range(1, load.tracked + 1)]
    return [SnapshotActivated(model(load), T0, 0), *primed, *_inputs(load, T0, T0 - BOOK_MS, seq)]


def trading(load: Load) -> list[Event]:
    """The load's frames of trades in order, with fresh books, ticks and account states as they fall due."""
    rng = random.Random(load.seed)
    seq, tid = count(load.tracked + 1_000), count(1)
    found: list[Event] = []
    now = T0
    for _ in range(load.orders):
        before, now = now, now + load.order_ms
        found += _inputs(load, now, before, seq)
        found.append(TradesReceived(_order(rng, load, now, tid), now, next(seq)))
    return found


def fills_of(events: list[Event]) -> int:
    """Fills in the frames: two a trade."""
    return sum(2 * len(event.trades) for event in events if isinstance(event, TradesReceived))


def _order(rng: random.Random, load: Load, at_ms: int, tid: Iterator[int]) -> tuple[Trade, ...]:
    coin, is_buy = rng.choice(load.names), rng.random() < 0.5
    taker = _party(rng, load)
    n = 1 + min(int(rng.expovariate(1 / (load.trades_per_order - 1))), 40)
    trades = []
    for level in range(n):
        px = Decimal(50_000) + (level if is_buy else -level)
        maker = _party(rng, load)
        buyer, seller = (taker, maker) if is_buy else (maker, taker)
        size = Decimal(rng.randint(1, 400)) / 1000
        trades.append(Trade(coin, px, size, at_ms, next(tid), "0x1", buyer, seller, is_buy))
    return tuple(trades)


def _party(rng: random.Random, load: Load) -> str:
    if rng.random() < load.share:
        return trader(rng.randint(1, load.tracked))
    return trader(100_000 + rng.randint(1, OTHERS))


def _inputs(load: Load, now: int, before: int, seq: Iterator[int]) -> list[Event]:
    """What else has arrived since: a tick every 250 ms, every book each half second, the account every 5 s."""
    found: list[Event] = []
    if now // TICK_MS > before // TICK_MS:
        found.append(FeedStatus("c0", load.names, load.names, now, now, next(seq)))
    if now // BOOK_MS > before // BOOK_MS:
        found += [BookUpdated(book(coin, 50_000.0, now), next(seq)) for coin in load.names]
    if now // ACCOUNT_MS > before // ACCOUNT_MS or now == T0:
        found.append(AccountUpdated(account(now), now, next(seq)))
    return found
