"""The agent that executes: intents in, orders on the paper account, reports out."""

from __future__ import annotations

from collections.abc import AsyncIterable

from sigmapilot_stream.executor import Executor
from sigmapilot_stream.records import IntentRecord


async def execute(executor: Executor, stream: AsyncIterable[IntentRecord]) -> None:
    """Handle intents in order until the stream ends."""
    async for intent in stream:
        await executor.handle(intent)
