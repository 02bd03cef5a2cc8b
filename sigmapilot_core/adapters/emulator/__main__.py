"""`python -m sigmapilot_core.adapters.emulator`: exit code 0 after a signal, 1 bad source, 2 wrong options."""

from __future__ import annotations

import asyncio
import sys

import structlog

from sigmapilot_core.adapters.emulator.command import options
from sigmapilot_core.adapters.emulator.composition import SourceError, run
from sigmapilot_core.adapters.emulator.world_store import WorldMismatch
from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.settings import SettingsError, load_settings

_LOG = structlog.get_logger("sigmapilot_core.adapters.emulator")


def main(arguments: list[str]) -> int:
    """Run until a signal; the answer is the exit code."""
    try:
        settings = load_settings()
        configure_logging("emulator", settings.log_level, settings.log_format)
        chosen = options(arguments, settings)
    except (SettingsError, ValueError, OSError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    try:
        asyncio.run(run(chosen))
    except (SourceError, WorldMismatch, ValueError, OSError) as fault:
        _LOG.error("emulator cannot start", reason=str(fault))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
