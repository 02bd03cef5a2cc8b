"""Declared disturbances of the demo: each gate is seen failing once in half an hour, for a reason written here.

Nothing is hidden: the status route lists what is still to come, and the faults in force like any other fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sigmapilot_core.adapters.emulator.faults import FaultOrder

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault that begins `at_s` after the stream reported ready and lasts `seconds`.

    `is_aimed`: it waits for the next leader of a copied group who acts on an idea of his own and concerns that coin,
    in which his followers are about to vote. `also` is switched on with it.
    """

    at_s: int
    seconds: int
    order: FaultOrder
    why: str
    is_aimed: bool = False
    also: FaultOrder | None = None


MAJORS = ("BTC", "ETH", "SOL")
"""Coins that the news of the demo are about."""

LATE_S = 380
"""A vote lives 300 s at most, in a violent market: who votes within a minute of the leader is too late by then."""

DEMO: tuple[Disturbance, ...] = (
    Disturbance(
        5 * MINUTE_S,
        LATE_S,
        FaultOrder("delay_trades"),
        "Trades of one coin come late in one burst, and the venue does not say what accounts hold: votes are too old.",
        is_aimed=True,
        # else the rolling sample would learn every position meanwhile, and the burst would bring nothing new
        also=FaultOrder("http_503", request="clearinghouseState"),
    ),
    Disturbance(
        9 * MINUTE_S + 30,
        120,
        FaultOrder("freeze_books", coin="ETH"),
        "Books of one coin stand still for two minutes: prices are not fresh, no decision may pass.",
    ),
    Disturbance(
        13 * MINUTE_S,
        115,
        FaultOrder("shift_books", coin="SOL", shift_pct=2.0),
        "Books of one major spike away from where the voters traded: the price is too far gone to follow them.",
    ),
    Disturbance(
        13 * MINUTE_S,
        115,
        FaultOrder("shift_books", shift_pct=2.0),
        "The same for a coin in which a group acts.",
        is_aimed=True,
    ),
    *(
        Disturbance(
            15 * MINUTE_S,
            300,
            FaultOrder("widen_books", coin=coin, spread_pct=2.0),
            "Bids and asks of the majors stand far apart: what votes are worth does not pay for the way in and out.",
        )
        for coin in MAJORS
    ),
    Disturbance(
        17 * MINUTE_S,
        120,
        FaultOrder("widen_books", spread_pct=2.0),
        "The same for a coin in which a group acts.",
        is_aimed=True,
    ),
    Disturbance(
        21 * MINUTE_S,
        1,
        FaultOrder("close_1012"),
        "Every connection is closed as in a network upgrade: reconnect, resubscribe, prime again.",
    ),
    Disturbance(
        22 * MINUTE_S,
        120,
        FaultOrder("freeze_books"),
        "Books of a coin stand still while a group acts in it.",
        is_aimed=True,
    ),
)


class DisturbancePlan:
    """Switches disturbances on when their time has come, counted from the moment the stream was ready."""

    def __init__(self, disturbances: tuple[Disturbance, ...]) -> None:
        self._waiting = sorted(disturbances, key=lambda d: d.at_s)

    def due(self, ready_ms: int, now_ms: int, led_coin: str | None) -> list[FaultOrder]:
        """What begins now, each once; `led_coin` is the coin in which a leader of a copied group has just acted."""
        orders, waiting = [], []
        for declared in self._waiting:
            if ready_ms + declared.at_s * 1000 > now_ms or (declared.is_aimed and led_coin is None):
                waiting.append(declared)
                continue
            until_ms = now_ms + declared.seconds * 1000
            aimed = replace(declared.order, coin=led_coin) if declared.is_aimed else declared.order
            orders += [replace(order, until_ms=until_ms) for order in (aimed, declared.also) if order is not None]
            if declared.is_aimed:
                led_coin = None  # one leader, one disturbance
        self._waiting = waiting
        return orders

    def listed(self) -> list[dict[str, object]]:
        """What is still to come, for the status route."""
        return [
            {
                "at_s": d.at_s,
                "seconds": d.seconds,
                "name": d.order.name,
                "coin": "of the next copied leader" if d.is_aimed else d.order.coin,
                "why": d.why,
            }
            for d in self._waiting
        ]
