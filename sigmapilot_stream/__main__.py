"""`python -m sigmapilot_stream`: the stream of the settings."""

from __future__ import annotations

import asyncio
import sys

from sigmapilot_core.adapters.journal.writer import JournalBusy
from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.postgres.migrate import WrongModeError
from sigmapilot_core.adapters.settings import SettingsError, load_settings
from sigmapilot_stream.run import main

EXIT_FAILED, EXIT_CONFIGURATION = 1, 2


def run() -> int:
    """Exit code: 0 after an orderly stop, 1 with a reason, 2 for a wrong setting."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    configure_logging("stream", settings.log_level, settings.log_format)
    try:
        asyncio.run(main(settings))
    except (WrongModeError, JournalBusy) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(run())
