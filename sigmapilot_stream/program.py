"""Which part of the stream a process is, and what is said of how it ended."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sigmapilot_core.adapters.journal.writer import JournalBusy
from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.postgres.migrate import WrongModeError
from sigmapilot_core.adapters.postgres.partition_store import FencedError
from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings
from sigmapilot_core.adapters.settings_values import MAX_WORKERS
from sigmapilot_stream.services.silence import SilentAgentError

EXIT_FAILED, EXIT_CONFIGURATION = 1, 2
ENDS: tuple[type[Exception], ...] = (SilentAgentError, WrongModeError, JournalBusy, FencedError)


@dataclass(frozen=True, slots=True)
class Part:
    """Name and work of a process, and the errors it ends with in one sentence."""

    name: str
    work: Coroutine[Any, Any, None]
    ends: tuple[type[Exception], ...] = ENDS


def part_of(settings: Settings, arguments: Sequence[str]) -> Part:
    """What the process is.

    Raises:
        SettingsError: a worker without a broker, or an argument that is none.
    """
    if not arguments:
        return _alone(settings) if settings.broker_url is None else _over_kafka(settings)
    numbers = [str(number) for number in range(MAX_WORKERS + 1)]
    if arguments[0] != "worker" or len(arguments) > 2 or (arguments[1:] and arguments[1] not in numbers):
        raise SettingsError(f"{' '.join(arguments)!r} is no part of the stream; allowed: worker 0-{MAX_WORKERS}.")
    if settings.broker_url is None:
        raise SettingsError("SIGMAPILOT_BROKER_URL is not set; a worker needs a broker.")
    return _over_kafka(settings, int(arguments[1]) if arguments[1:] else 0)


def _alone(settings: Settings) -> Part:
    # without a broker nothing of Kafka is imported, and with one not this: either would be a good part of the start
    from sigmapilot_stream.run import main

    return Part("stream", main(settings))


def _over_kafka(settings: Settings, worker: int | None = None) -> Part:
    from sigmapilot_stream.kafka import entry

    ends = (*ENDS, *entry.ENDS)
    if worker is None:
        return Part("stream", entry.feed(settings), ends)
    return Part(f"worker-{worker}" if worker else "worker", entry.worker(settings, worker), ends)


def run(arguments: Sequence[str]) -> int:
    """Exit code: 0 after an orderly stop, 1 with a reason, 2 for a wrong setting."""
    try:
        settings = load_settings()
        part = part_of(settings, arguments)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    configure_logging(part.name, settings.log_level, settings.log_format)
    # everything is imported and stays: no collection need go through it
    gc.freeze()
    gc.enable()
    try:
        asyncio.run(part.work)
    except part.ends as error:
        sys.stderr.write(f"{part.name}: {error}\n")
        return EXIT_FAILED
    return 0
