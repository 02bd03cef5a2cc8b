"""Faults that happen to connections, once, at the moment they are ordered."""

from __future__ import annotations

from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.emulator.hub import Hub
from sigmapilot_core.adapters.emulator.publisher import Publisher
from sigmapilot_core.adapters.hyperliquid import encode

_CLOSE_CODES = {
    "close_1000": (1000, "Normal closure"),
    "close_1001": (1001, "Going away"),
    "close_1008": (1008, "Policy violation"),
    "close_1012": (1012, "Service restart"),
}


async def perform(order: FaultOrder, hub: Hub, publisher: Publisher) -> None:
    """Do to every connection of the moment what the order says."""
    if order.name == "error_frame":
        await publisher.send_everybody(encode.error_frame(order.text))
        return
    if order.name == "replay_snapshot":
        await publisher.replay({"channel": order.channel, "coin": order.coin, "user": order.user})
        return
    for connection in tuple(hub.connections):
        if order.name in _CLOSE_CODES:
            connection.close(*_CLOSE_CODES[order.name])
        elif order.name == "half_open":
            connection.mute()
        else:
            connection.abort(reset=order.name == "drop_tcp")
