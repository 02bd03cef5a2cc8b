"""Declared disturbances of the demo: each gate is seen failing once in half an hour, for a reason written here.

Nothing is hidden: the status route lists what is still to come, and the faults in force like any other fault.
"""

from __future__ import annotations

from dataclasses import dataclass

from sigmapilot_core.adapters.emulator.faults import FaultOrder

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault that begins `at_s` after the stream reported ready and lasts `seconds`."""

    at_s: int
    seconds: int
    order: FaultOrder
    why: str


LATE_S = {"BTC": 480, "XRP": 720, "DOGE": 720, "LINK": 720, "HYPE": 720}
"""How long trades are held back. A vote lives 300 s at most: what is done before the last five minutes comes too late
to act on. Not all of the small coins, in which leaders of copied groups have ideas of their own: a connection
that brings no trade for five minutes counts as frozen, and what it did not bring is fetched."""
MAJORS = ("BTC", "ETH", "SOL")
"""Coins that the news of the demo are about."""

DEMO: tuple[Disturbance, ...] = (
    *(
        Disturbance(
            5 * MINUTE_S,
            seconds,
            FaultOrder("delay_trades", coin=coin),
            "Trades of some coins are held back and come late in one burst: their votes are too old to act on.",
        )
        for coin, seconds in LATE_S.items()
    ),
    Disturbance(
        5 * MINUTE_S,
        # else the rolling sample would learn every position meanwhile, and the burst would bring nothing new
        max(LATE_S.values()),
        FaultOrder("http_503", request="clearinghouseState"),
        "Meanwhile the venue does not say what accounts hold: it lags on every channel.",
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
        21 * MINUTE_S,
        1,
        FaultOrder("close_1012"),
        "Every connection is closed as in a network upgrade: reconnect, resubscribe, prime again.",
    ),
)


class DisturbancePlan:
    """Switches disturbances on when their time has come, counted from the moment the stream was ready."""

    def __init__(self, disturbances: tuple[Disturbance, ...]) -> None:
        self._waiting = sorted(disturbances, key=lambda d: d.at_s)

    def due(self, ready_ms: int, now_ms: int) -> list[Disturbance]:
        """Those that begin now; each is given once."""
        begun = [d for d in self._waiting if ready_ms + d.at_s * 1000 <= now_ms]
        self._waiting = self._waiting[len(begun) :]
        return begun

    def listed(self) -> list[dict[str, object]]:
        """What is still to come, for the status route."""
        return [
            {"at_s": d.at_s, "seconds": d.seconds, "name": d.order.name, "coin": d.order.coin, "why": d.why}
            for d in self._waiting
        ]
