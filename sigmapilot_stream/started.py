"""With which settings and assets a process of the stream began: an input like any other, for replays."""

from __future__ import annotations

from dataclasses import dataclass

from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.venue import AssetSpec


@dataclass(frozen=True, slots=True)
class Started:
    """Mode, settings, the trading account that signals go to, and the venue's perpetuals."""

    mode: str
    account: str
    params: Params
    assets: tuple[AssetSpec, ...]
