"""Everything that can be asked and subscribed to, in one place."""

from __future__ import annotations

from sigmapilot_core.adapters.emulator.account_channels import ACCOUNT_CHANNELS
from sigmapilot_core.adapters.emulator.channels import MARKET_CHANNELS, FeedChannel
from sigmapilot_core.adapters.emulator.config import StreamConfig
from sigmapilot_core.adapters.emulator.hub import Hub
from sigmapilot_core.adapters.emulator.info import Handler
from sigmapilot_core.adapters.emulator.info_account import ACCOUNT_INFO
from sigmapilot_core.adapters.emulator.info_market import MARKET_INFO
from sigmapilot_core.adapters.emulator.info_orders import ORDER_INFO
from sigmapilot_core.adapters.emulator.venue import Venue

ALL_INFO: dict[str, Handler] = MARKET_INFO | ACCOUNT_INFO | ORDER_INFO


def channels_of(venue: Venue, hub: Hub, config: StreamConfig) -> dict[str, FeedChannel]:
    """All channels by type; within a block they are sent in this order."""
    return {name: kind(venue, hub, config) for name, kind in (MARKET_CHANNELS | ACCOUNT_CHANNELS).items()}
