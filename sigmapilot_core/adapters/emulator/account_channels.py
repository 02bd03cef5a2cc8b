"""Channels of single accounts: what a subscriber receives at once and what each block brings (spec section 3.3).

A first frame with `isSnapshot` replays history; `orderUpdates` and `userEvents` replay nothing, as at the venue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sigmapilot_core.adapters.emulator import order_wire
from sigmapilot_core.adapters.emulator.channels import FeedChannel
from sigmapilot_core.adapters.emulator.connection import Key
from sigmapilot_core.adapters.emulator.info_account import FILL_LIMIT, wire_fills
from sigmapilot_core.adapters.emulator.info_market import PAGE_LIMIT
from sigmapilot_core.adapters.emulator.info_orders import open_orders
from sigmapilot_core.adapters.emulator.venue import Block
from sigmapilot_core.adapters.hyperliquid import encode_account as encode
from sigmapilot_core.adapters.hyperliquid.encode import frame
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.execution.liquidation import BACKSTOP_USER
from sigmapilot_core.domain.execution.orders import Order, OrderStatus
from sigmapilot_core.domain.execution.venue_state import Liquidation
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.venue import FundingPayment

Wire = dict[str, Any]


class UserFills(FeedChannel):
    """`userFills`: the newest 2000 fills, then those of each block."""

    def opening(self, key: Key) -> list[Wire]:
        _, user, aggregate = key
        fills = self.venue.fills(user, 0, self.venue.now_ms)[-FILL_LIMIT:]
        data = {"isSnapshot": True, "user": user, "fills": wire_fills(fills, aggregate)[::-1]}
        return [frame("userFills", data)]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("userFills"):
            fills = fills_of(self, key[1], block)
            if fills:
                yield key, frame("userFills", {"user": key[1], "fills": wire_fills(fills, key[2])})


def fills_of(channel: FeedChannel, user: str, block: Block) -> Sequence[Fill]:
    """Fills of an account within a block; the source is only asked if the account is a party of a trade."""
    if not block.involves(user):
        return ()
    return channel.venue.fills(user, block.previous_ms + 1, block.time_ms)


class UserEvents(FeedChannel):
    """`userEvents`, sent as channel `user`: fills, funding, liquidations and the venue's own cancels; no user field."""

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("userEvents"):
            fills = fills_of(self, key[1], block)
            if fills:
                yield key, frame("user", {"fills": wire_fills(fills, False)})
            cancels = [{"coin": o.coin, "oid": o.oid} for o in block.updates if o.user == key[1] and _by_venue(o)]
            if cancels:
                yield key, frame("user", {"nonUserCancel": cancels})
            for payment in block.funding:
                if payment.user == key[1]:
                    yield key, frame("user", {"funding": funding_row(payment)})
            for number, fall in enumerate(block.liquidations):
                if fall.user == key[1]:
                    yield key, frame("user", {"liquidation": _liquidation(fall, block.time_ms + number)})


def _by_venue(order: Order) -> bool:
    """True for an order the venue cancelled by itself."""
    return order.status is not OrderStatus.CANCELED and order.status.value.endswith(("Canceled", "Cancel"))


def _liquidation(fall: Liquidation, number: int) -> Wire:
    return {
        "lid": number,
        "liquidator": BACKSTOP_USER,
        "liquidated_user": fall.user,
        "liquidated_ntl_pos": decimal_text(fall.notional),
        "liquidated_account_value": decimal_text(fall.account_value),
    }


class OrderUpdates(FeedChannel):
    """`orderUpdates`: what happened to an account's orders; no user field."""

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("orderUpdates"):
            updates = [order_wire.update(o) for o in block.updates if o.user == key[1]]
            if updates:
                yield key, frame("orderUpdates", updates)


def funding_row(payment: FundingPayment) -> Wire:
    """A payment as the WebSocket shows it: without the envelope it has in `userFunding`."""
    row = encode.funding_payment(payment)
    return {"time": row["time"]} | {key: value for key, value in row["delta"].items() if key != "type"}


class UserFundings(FeedChannel):
    """`userFundings`: history, then what each full hour brings."""

    def opening(self, key: Key) -> list[Wire]:
        return [frame("userFundings", {"isSnapshot": True} | self._data(key[1], 0, self.venue.now_ms))]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(HOUR_MS):
            for key in self.hub.keys("userFundings"):
                data = self._data(key[1], block.previous_ms + 1, block.time_ms)
                if data["fundings"]:
                    yield key, frame("userFundings", data)

    def _data(self, user: str, start_ms: int, end_ms: int) -> Wire:
        payments = self.venue.funding_payments(user, start_ms, end_ms)[-PAGE_LIMIT:]
        return {"user": user, "fundings": [funding_row(p) for p in payments]}


class Ledger(FeedChannel):
    """`userNonFundingLedgerUpdates`: history, then what each block brings."""

    def opening(self, key: Key) -> list[Wire]:
        data = self._data(key[1], 0, self.venue.now_ms)
        return [frame("userNonFundingLedgerUpdates", {"isSnapshot": True} | data)]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("userNonFundingLedgerUpdates"):
            data = self._data(key[1], block.previous_ms + 1, block.time_ms)
            if data["nonFundingLedgerUpdates"]:
                yield key, frame("userNonFundingLedgerUpdates", data)

    def _data(self, user: str, start_ms: int, end_ms: int) -> Wire:
        flows = self.venue.cash_flows(user, start_ms, end_ms)[-PAGE_LIMIT:]
        return {"user": user, "nonFundingLedgerUpdates": [encode.cash_flow(f) for f in flows]}


class TwapSlices(FeedChannel):
    """`userTwapSliceFills`: the newest 2000 slices, then those of each block."""

    def opening(self, key: Key) -> list[Wire]:
        data = self._data(key[1], 0, self.venue.now_ms)
        return [frame("userTwapSliceFills", {"isSnapshot": True} | data)]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("userTwapSliceFills"):
            if block.involves(key[1]):
                data = self._data(key[1], block.previous_ms + 1, block.time_ms)
                if data["twapSliceFills"]:
                    yield key, frame("userTwapSliceFills", data)

    def _data(self, user: str, start_ms: int, end_ms: int) -> Wire:
        slices = self.venue.twap_slices(user, start_ms, end_ms)[-FILL_LIMIT:]
        return {"user": user, "twapSliceFills": [encode.twap_slice(s) for s in slices]}


class States(FeedChannel):
    """`clearinghouseState`: an account's state at once, with every block that concerns it, and once a second."""

    def opening(self, key: Key) -> list[Wire]:
        return [self._frame(key[1])]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        periodic = block.crosses(self.config.account_ms)
        for key in self.hub.keys("clearinghouseState"):
            if periodic or block.involves(key[1]):
                yield key, self._frame(key[1])

    def _frame(self, user: str) -> Wire:
        state = encode.account(self.venue.account(user))
        return frame("clearinghouseState", {"dex": "", "user": user, "clearinghouseState": state})


class AllStates(FeedChannel):
    """`allDexsClearinghouseState`: the same for all dexes; there is one."""

    def opening(self, key: Key) -> list[Wire]:
        states = [["", encode.account(self.venue.account(key[1]))]]
        return [frame("allDexsClearinghouseState", {"user": key[1], "clearinghouseStates": states})]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        periodic = block.crosses(self.config.account_ms)
        for key in self.hub.keys("allDexsClearinghouseState"):
            if periodic or block.involves(key[1]):
                yield key, self.opening(key)[0]


class OpenOrders(FeedChannel):
    """`openOrders`: at once and whenever one of the account's orders has changed."""

    def opening(self, key: Key) -> list[Wire]:
        orders = open_orders(self.venue, key[1])
        return [frame("openOrders", {"dex": "", "user": key[1], "orders": orders})]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        changed = {order.user for order in block.updates}
        for key in self.hub.keys("openOrders"):
            if key[1] in changed:
                yield key, self.opening(key)[0]


class Bundle(FeedChannel):
    """`webData3`, the least of it: time, the account's state and its orders, every few seconds."""

    def opening(self, key: Key) -> list[Wire]:
        user = key[1]
        state = encode.account(self.venue.account(user))
        user_state = {"agentAddress": None, "agentValidUntil": None, "serverTime": self.venue.now_ms, "isVault": False}
        dex = {"clearinghouseState": state, "openOrders": open_orders(self.venue, user), "totalVaultEquity": "0.0"}
        return [frame("webData3", {"userState": user_state | {"user": user}, "perpDexStates": [dex]})]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(self.config.bundle_ms):
            for key in self.hub.keys("webData3"):
                yield key, self.opening(key)[0]


class AssetData(FeedChannel):
    """`activeAssetData`: leverage of an account in an asset and what it could trade, once a second."""

    def opening(self, key: Key) -> list[Wire]:
        return [frame("activeAssetData", self.venue.asset_data(key[1], key[2]))]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(self.config.account_ms):
            for key in self.hub.keys("activeAssetData"):
                yield key, self.opening(key)[0]


class Notifications(FeedChannel):
    """`notification`: acknowledged; this venue has nothing to announce."""


ACCOUNT_CHANNELS: dict[str, type[FeedChannel]] = {
    "userFills": UserFills,
    "userEvents": UserEvents,
    "orderUpdates": OrderUpdates,
    "userFundings": UserFundings,
    "userNonFundingLedgerUpdates": Ledger,
    "userTwapSliceFills": TwapSlices,
    "clearinghouseState": States,
    "allDexsClearinghouseState": AllStates,
    "openOrders": OpenOrders,
    "webData3": Bundle,
    "activeAssetData": AssetData,
    "notification": Notifications,
}
