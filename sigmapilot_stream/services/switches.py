"""Takes people's requests for the kill switch to the executor, oldest first, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import operator_store
from sigmapilot_core.domain.risk.kill_switch import SwitchRequest
from sigmapilot_core.ports import Clock
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.retrying import DATABASE_ERRORS, is_down, reason_of

POLL_S = 0.5

log = structlog.get_logger(__name__)


class SwitchService:
    """Polls for requests. They stand in the database: one made while the stream is down is answered at its start,
    before anything is entered."""

    def __init__(self, database: sa.Engine, clock: Clock, executor: Executor) -> None:
        self._database = database
        self._clock = clock
        self._executor = executor

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Answer what was asked; without a database there is nothing to answer, and nothing is decided either."""
        try:
            found = await asyncio.to_thread(self._unanswered)
        except DATABASE_ERRORS as error:
            if not is_down(error):
                raise
            log.warning("database does not answer; requests for the kill switch wait", reason=reason_of(error))
            return
        for request in found:
            given = await self._executor.switch(request, self._clock.now_ms())
            log.warning("kill switch asked for", action=request.action.value, by=request.requested_by,
                        reason=request.reason, result=given.result.value, detail=given.detail)  # fmt: skip

    def _unanswered(self) -> Sequence[SwitchRequest]:
        with self._database.connect() as connection:
            return operator_store.unanswered_switch_requests(connection)
