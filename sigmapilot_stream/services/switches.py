"""Takes people's requests for the kill switch to the executor, oldest first, each once."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import operator_store
from sigmapilot_core.domain.risk.kill_switch import SwitchRequest
from sigmapilot_core.ports import Clock
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat

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
        await repeat(self.look, POLL_S)

    async def look(self) -> None:
        """Answer what was asked; without a database there is nothing to answer, and nothing is decided either."""
        for request in await unless_down(self._unanswered, "requests for the kill switch wait") or ():
            given = await self._executor.switch(request, self._clock.now_ms())
            log.warning("kill switch asked for", action=request.action.value, by=request.requested_by,
                        reason=request.reason, result=given.result.value, detail=given.detail)  # fmt: skip

    def _unanswered(self) -> Sequence[SwitchRequest]:
        with self._database.connect() as connection:
            return operator_store.unanswered_switch_requests(connection)
