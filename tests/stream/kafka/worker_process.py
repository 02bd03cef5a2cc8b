"""A worker as a process of its own, as `python -m sigmapilot_stream worker` is one, with what tests must shorten.

worker_process.py NAME PORT CHECKPOINT_S [--for-mock]
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.settings import load_settings
from sigmapilot_stream.kafka import links
from sigmapilot_stream.kafka.worker_role import WorkerRole

FOLLOWERS_FIRST_S = 0.7


async def no_topics(*_: Any) -> None:
    """The mock broker makes topics by itself and on no request."""


def let_followers_sync_first() -> None:
    """The mock broker takes a member that syncs after its leader for a stranger: the leader takes its time."""
    assign = RoundRobinPartitionAssignor.assign

    def slowly(*given: Any, **named: Any) -> Any:
        time.sleep(FOLLOWERS_FIRST_S)
        return assign(*given, **named)

    RoundRobinPartitionAssignor.assign = slowly


async def main(name: str, port: int, checkpoint_s: float) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await WorkerRole(load_settings(), name, port, checkpoint_s).run(stop)


if __name__ == "__main__":
    if "--for-mock" in sys.argv:
        let_followers_sync_first()
        links.declare = no_topics
    configure_logging(sys.argv[1], "info", "text")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
