"""What the first decision needs and a start does not wait for."""

from __future__ import annotations

import asyncio

from sigmapilot_core.domain.traders.posterior import predictive, prior


async def ready_to_decide() -> None:
    """Predict once beside everything else, so that SciPy is there when it counts; then be there until cancelled."""
    await asyncio.to_thread(predictive, prior())
    await asyncio.Event().wait()
