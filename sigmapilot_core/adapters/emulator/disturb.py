"""What the faults of the catalogue do to data: frames on their way out and the bodies of answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.emulator import book_faults
from sigmapilot_core.adapters.emulator.connection import Key
from sigmapilot_core.adapters.emulator.faults import FaultRegistry

Wire = dict[str, Any]
BOOK_CHANNELS = ("l2Book", "bbo")
CONTEXT_CHANNELS = ("activeAssetCtx", "assetCtxs")
UNKNOWN_COINS = ("xyz:NEW", "@9999", "#77")
UNKNOWN_DIR = "Rebalanced By Protocol"
UNKNOWN_STATUS = "reshuffledCanceled"
_UNKNOWN_FRAME: Wire = {"channel": "venueNews", "data": {"headline": "A channel nobody knows"}}
_NULLED = ("midPx", "premium", "impactPxs")
MAX_NOTED = 1_000_000
TradeKey = tuple[int, str, int]
_MALFORMED = '{"channel":"trades","data":[{"coin":"BT'


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame for the subscribers of a key; `text` replaces the frame where it is not JSON."""

    key: Key
    frame: Wire
    text: str | None = None


class Losses:
    """The emulator's own ledger of trades it did not send, or not as they were: what a measure of losses must find.

    Trades by (time, coin, tid), each once however many subscribers there are; bounded, the oldest go.
    """

    def __init__(self) -> None:
        self.dropped: dict[TradeKey, None] = {}
        self.altered: dict[TradeKey, None] = {}
        self.delayed: dict[TradeKey, None] = {}

    def note(self, ledger: dict[TradeKey, None], trades: list[Wire]) -> None:
        """Trades of a frame that met a fault."""
        ledger.update({(trade["time"], trade["coin"], trade["tid"]): None for trade in trades})
        while len(ledger) > MAX_NOTED:
            del ledger[next(iter(ledger))]

    def counts(self) -> dict[str, int]:
        """Figures for the status route."""
        return {"dropped": len(self.dropped), "altered": len(self.altered), "delayed": len(self.delayed)}

    def listed(self) -> dict[str, list[list[Any]]]:
        """Every trade noted, for the control route."""
        return {name: [list(key) for key in getattr(self, name)] for name in self.counts()}


class FrameFaults:
    """Disturbs frames; keeps back those of coins whose trades are delayed. `losses` is what it did to trades."""

    def __init__(self, faults: FaultRegistry) -> None:
        self.losses = Losses()
        self._faults = faults
        self._held: dict[str, list[Outgoing]] = {}

    def released(self) -> list[Outgoing]:
        """Frames that were held back and whose delay is over, oldest first."""
        over = [coin for coin in self._held if not self._faults.find("delay_trades", coin=coin)]
        return [out for coin in over for out in self._held.pop(coin)]

    def apply(self, key: Key, frame: Wire) -> list[Outgoing]:
        """What is sent instead of a frame: nothing, the frame, or more."""
        if not self._faults.any_on:
            return [Outgoing(key, frame)]
        if self._is_frozen(key):
            if key[0] == "trades":
                self.losses.note(self.losses.dropped, frame["data"])
            return []
        if key[0] == "userFills" and (coin := self._delayed_coin(frame)) is not None:
            self._held.setdefault(coin, []).append(Outgoing(key, self.content(frame)))
            return []
        if key[0] == "trades":
            return self._trades(key, self.content(frame))
        return [Outgoing(key, self.content(self._book(frame, key[1]) if key[0] in BOOK_CHANNELS else frame))]

    def content(self, data: Any) -> Any:
        """The values of a frame or an answer as the faults would have them."""
        if self._faults.find("null_fields"):
            data = _with(data, dict.fromkeys(_NULLED))
        if self._faults.find("new_enum_values"):
            data = _with(data, {"dir": UNKNOWN_DIR, "status": UNKNOWN_STATUS})
        skew = self._faults.find("clock_skew")
        return _shifted(data, round(skew.skew_s * 1000)) if skew else data

    def _delayed_coin(self, frame: Wire) -> str | None:
        """A coin of an account's fills whose trades are held back: what happened is late on every channel."""
        coins = {fill["coin"] for fill in frame["data"]["fills"]}
        return next((coin for coin in sorted(coins) if self._faults.find("delay_trades", coin=coin)), None)

    def _is_frozen(self, key: Key) -> bool:
        coin = key[1] if len(key) > 1 else None
        if key[0] in BOOK_CHANNELS and self._faults.find("freeze_books", coin=coin):
            return True
        return self._faults.find("freeze_channel", channel=key[0], coin=coin) is not None

    def _book(self, frame: Wire, coin: str) -> Wire:
        if shift := self._faults.find("shift_books", coin=coin):
            frame = book_faults.shifted(frame, shift.shift_pct)
        if widen := self._faults.find("widen_books", coin=coin):
            frame = book_faults.widened(frame, widen.spread_pct)
        return frame

    def _trades(self, key: Key, frame: Wire) -> list[Outgoing]:
        coin = key[1]
        find = self._faults.find
        if find("missing_trades", coin=coin):
            self.losses.note(self.losses.dropped, frame["data"])
            return []
        frame = frame | {"data": [self._altered(trade, coin) for trade in self._left(frame["data"], coin)]}
        if not frame["data"]:
            return []
        if find("delay_trades", coin=coin):
            self.losses.note(self.losses.delayed, frame["data"])
            self._held.setdefault(coin, []).append(Outgoing(key, frame))
            return []
        if find("out_of_order", coin=coin):
            frame = frame | {"data": frame["data"][::-1]}
        before = list(self._intruders(key, frame))
        twice = 2 if find("duplicate_trades", coin=coin) else 1
        return before + [Outgoing(key, frame)] * twice

    def _left(self, trades: list[Wire], coin: str) -> list[Wire]:
        """Without single trades that are lost."""
        lost = [trade for trade in trades if self._faults.find("missing_single_trades", coin=coin)]
        self.losses.note(self.losses.dropped, lost)
        return [trade for trade in trades if trade not in lost] if lost else trades

    def _altered(self, trade: Wire, coin: str) -> Wire:
        """A trade, or one of twice its size in its place."""
        if not self._faults.find("altered_trades", coin=coin):
            return trade
        self.losses.note(self.losses.altered, [trade])
        return trade | {"sz": str(2 * Decimal(trade["sz"]))}

    def _intruders(self, key: Key, frame: Wire) -> Iterator[Outgoing]:
        find, coin = self._faults.find, key[1]
        if find("empty_frame", coin=coin):
            yield Outgoing(key, frame | {"data": []})
        if find("unknown_channel", coin=coin):
            yield Outgoing(key, _UNKNOWN_FRAME)
        if find("unknown_coin", coin=coin):
            for name in UNKNOWN_COINS:
                yield Outgoing(key, frame | {"data": [trade | {"coin": name} for trade in frame["data"]]})
        if find("malformed_json", coin=coin):
            yield Outgoing(key, frame, text=_MALFORMED)


def _with(data: Any, values: dict[str, Any]) -> Any:
    """The data with every occurrence of some keys set to other values."""
    if isinstance(data, dict):
        return {k: values[k] if k in values and not isinstance(v, dict) else _with(v, values) for k, v in data.items()}
    return [_with(item, values) for item in data] if isinstance(data, list) else data


def _shifted(data: Any, by_ms: int) -> Any:
    """The data with every instant named `time` moved."""
    if isinstance(data, dict):
        return {k: v + by_ms if k == "time" and type(v) is int else _shifted(v, by_ms) for k, v in data.items()}
    return [_shifted(item, by_ms) for item in data] if isinstance(data, list) else data
