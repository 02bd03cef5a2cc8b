"""From settings to a running process, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

from aiokafka.errors import KafkaError

from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.adapters.settings_values import MAX_WORKERS
from sigmapilot_stream.composition import outside
from sigmapilot_stream.kafka.feed_role import FeedRole
from sigmapilot_stream.kafka.links import WrongTopicError
from sigmapilot_stream.kafka.seat import HoleError
from sigmapilot_stream.kafka.worker_role import WorkerRole

ENDS: tuple[type[Exception], ...] = (WrongTopicError, HoleError, KafkaError)
"""What a process ends with that is told in one sentence, beside what it can end with without a broker."""

LOOPBACK = "127.0.0.1"


async def feed(settings: Settings) -> None:
    """Feed and trading account."""
    stop = _stopped()
    world = await outside(settings)
    try:
        await FeedRole(world).run(stop)
    finally:
        await world.close()


async def worker(settings: Settings, number: int) -> None:
    """One worker; number 0 takes the first free port of those that workers have."""
    stop = _stopped()
    port = settings.ports.worker_metrics(number) if number else free_port(settings)
    name = f"worker-{port - settings.ports.stream_metrics}-{socket.gethostname()}-{os.getpid()}"
    await WorkerRole(settings, name, port).run(stop)


def free_port(settings: Settings) -> int:
    """The first port of a worker that nobody listens on.

    Raises:
        OSError: there is none left.
    """
    for number in range(1, MAX_WORKERS + 1):
        port = settings.ports.worker_metrics(number)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"all {MAX_WORKERS} ports of workers are taken")


def _stopped() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
