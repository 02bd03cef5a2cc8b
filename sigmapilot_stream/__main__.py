"""`python -m sigmapilot_stream`: the stream of the settings. With a broker this is the feed with the trading account,
and `python -m sigmapilot_stream worker [N]` is one of the workers that decide."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka.errors import KafkaError

from sigmapilot_core.adapters.journal.writer import JournalBusy
from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.postgres.migrate import WrongModeError
from sigmapilot_core.adapters.postgres.partition_store import FencedError
from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings
from sigmapilot_core.adapters.settings_values import MAX_WORKERS
from sigmapilot_stream.kafka import entry
from sigmapilot_stream.kafka.links import WrongTopicError
from sigmapilot_stream.kafka.seat import HoleError
from sigmapilot_stream.run import main
from sigmapilot_stream.services.silence import SilentAgentError

EXIT_FAILED, EXIT_CONFIGURATION = 1, 2


def role(settings: Settings, arguments: Sequence[str]) -> tuple[str, Coroutine[Any, Any, None]]:
    """Name and work of the process.

    Raises:
        SettingsError: a worker without a broker, or an argument that is none.
    """
    if not arguments:
        return "stream", main(settings) if settings.broker_url is None else entry.feed(settings)
    numbers = [str(number) for number in range(MAX_WORKERS + 1)]
    if arguments[0] != "worker" or len(arguments) > 2 or (arguments[1:] and arguments[1] not in numbers):
        raise SettingsError(f"{' '.join(arguments)!r} is no part of the stream; allowed: worker 0-{MAX_WORKERS}.")
    if settings.broker_url is None:
        raise SettingsError("SIGMAPILOT_BROKER_URL is not set; a worker needs a broker.")
    number = int(arguments[1]) if arguments[1:] else 0
    return f"worker-{number}" if number else "worker", entry.worker(settings, number)


def run(arguments: Sequence[str]) -> int:
    """Exit code: 0 after an orderly stop, 1 with a reason, 2 for a wrong setting."""
    try:
        settings = load_settings()
        name, work = role(settings, arguments)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    configure_logging(name, settings.log_level, settings.log_format)
    try:
        asyncio.run(work)
    except (
        SilentAgentError,
        WrongModeError,
        JournalBusy,
        FencedError,
        WrongTopicError,
        HoleError,
        KafkaError,
    ) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
