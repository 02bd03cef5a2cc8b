"""Runs one mode in the foreground: what `up` and `demo` share."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import httpx
import typer

from sigmapilot_cli.api_token import ensure_token
from sigmapilot_cli.errors import EXIT_CONFIGURATION, CommandError
from sigmapilot_cli.lock import single_instance
from sigmapilot_cli.plan import Plan, full_plan, processes
from sigmapilot_cli.ports import require_free_ports
from sigmapilot_cli.supervisor.log_file import RotatingLog
from sigmapilot_cli.supervisor.spec import Pace
from sigmapilot_cli.supervisor.supervise import Supervisor, Work
from sigmapilot_core.adapters.postgres.account import ServerError
from sigmapilot_core.adapters.settings import Settings

STATE_FILE = "up.json"
_VENUE_TIMEOUT_S = 10.0


def run_mode(settings: Settings, work: Work | None = None, timeout_s: float | None = None) -> int:
    """Start every part of the mode, do `work` or wait for a signal, stop every part; returns the exit code.

    Raises:
        CommandError: it is running already, a port is taken, the venue is out of reach, a required part failed.
    """
    require_recording(settings)
    make_mode_dir(settings)
    base = settings.ports.api[0] if "SIGMAPILOT_PORT_BASE" in settings.given else None
    with single_instance(settings.mode_dir, str(settings.mode), base):
        for name in settings.ignored:
            _say(f"{name} is not a setting and is ignored")
        require_venue(settings)
        token, made = ensure_token(settings)
        try:
            plan = full_plan(settings, token)
        except ServerError as error:
            raise CommandError(str(error)) from error
        require_free_ports(processes(plan))
        if made:
            _say(f"API token (shown once, kept in {settings.token_file}): {token.get_secret_value()}")
        return run_plan(settings, plan, work, timeout_s, when_up=_addresses(settings))


def run_plan(
    settings: Settings,
    plan: Plan,
    work: Work | None = None,
    timeout_s: float | None = None,
    pace: Pace | None = None,
    when_up: str = "",
) -> int:
    """Run a plan under the supervisor until its work is done, its time is over or a signal comes."""
    header = {"mode": str(settings.mode), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    state_file = settings.mode_dir / STATE_FILE
    with contextlib.closing(RotatingLog(settings.logs_dir / "up.log")) as log:
        supervisor = Supervisor(plan, settings.logs_dir, state_file, _Journal(log), header, pace, when_up)
        return asyncio.run(supervisor.run(work, timeout_s))


def make_mode_dir(settings: Settings) -> None:
    """The mode's folder. The server's account passes through it, so others may enter but not list it."""
    try:
        for folder in (settings.home, settings.mode_dir):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o711)
        settings.logs_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"SIGMAPILOT_HOME={str(settings.home)!r} cannot be used: {error.strerror}; allowed: a folder this user may "
            "write.",
            EXIT_CONFIGURATION,
        ) from error


def require_recording(settings: Settings) -> None:
    """Check that a recording mode has a recording.

    Raises:
        CommandError: a folder is not set or is none.
    """
    if settings.mode.kind != "recording":
        return
    recording = settings.recording
    for name, folder in (("RECORDING_DIR", recording.market_dir), ("LEADERBOARD_DIR", recording.leaderboard_dir)):
        if (folder is None and name == "RECORDING_DIR") or (folder is not None and not folder.is_dir()):
            raise CommandError(
                f"mode {settings.mode}: SIGMAPILOT_{name}={str(folder or '')!r} is not a folder; allowed: one that "
                "exists.",
                EXIT_CONFIGURATION,
            )


def require_venue(settings: Settings) -> None:
    """Check that a real venue answers at all before anything starts.

    Raises:
        CommandError: it does not, with the reason.
    """
    if settings.mode.emulated:
        return
    url = settings.venue.api
    try:
        httpx.get(url, timeout=_VENUE_TIMEOUT_S)
    except httpx.HTTPError as error:
        asked, reason = httpx.URL(url).copy_with(userinfo=b""), str(error) or type(error).__name__
        raise CommandError(
            f"mode {settings.mode} needs the exchange, but it does not answer at {asked} ({reason}); check the "
            "network, or run `sigmapilot demo`, which needs none."
        ) from error


def _addresses(settings: Settings) -> str:
    ports = settings.ports
    return (
        f"SigmaPilot is up in mode {settings.mode}: status page http://127.0.0.1:{ports.page}, Dagster "
        f"http://127.0.0.1:{ports.dagster}, API http://127.0.0.1:{ports.api[0]}/docs; Ctrl-C stops it"
    )


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; what runs goes on until it is told otherwise
        typer.echo(f"{datetime.now().astimezone():%H:%M:%S} {line}")


class _Journal:
    """Says a line and keeps it, so that `sigmapilot logs up` can tell what happened."""

    def __init__(self, log: RotatingLog) -> None:
        self._log = log

    def __call__(self, line: str) -> None:
        _say(line)
        self._log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}\n".encode())
