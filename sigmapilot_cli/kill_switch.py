"""`sigmapilot kill-switch on|off|status`: block entries by hand; reductions always go on."""

from __future__ import annotations

import json
import os
import pwd
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.answering import answering
from sigmapilot_cli.errors import EXIT_FAILED, EXIT_TIMEOUT, CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

if TYPE_CHECKING:
    from sigmapilot_core.adapters.settings import Settings
    from sigmapilot_core.domain.risk.kill_switch import SwitchAction

kill_switch = typer.Typer(help="Block entries by hand; reductions always go on.", no_args_is_help=True)
_POLL_S = 0.1

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks; default: this account.", show_default=False)]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the stream's answer.")]


@kill_switch.command()
def on(
    reason: ReasonOption,
    mode: ModeOption = None,
    auto: Annotated[bool, typer.Option("--auto", help="Release itself after its cooldown.")] = False,
    by: ByOption = None,
    wait: WaitOption = 10,
) -> None:
    """Block entries from now on."""
    from sigmapilot_core.domain.risk.kill_switch import SwitchAction

    _ask(settings_of_running(mode), SwitchAction.ON, reason, by, wait, is_auto=auto)


@kill_switch.command()
def off(
    reason: ReasonOption,
    mode: ModeOption = None,
    force: Annotated[bool, typer.Option("--force", help="Before its cooldown is over.")] = False,
    by: ByOption = None,
    wait: WaitOption = 10,
) -> None:
    """Allow entries again, once the cooldown is over."""
    from sigmapilot_core.domain.risk.kill_switch import SwitchAction

    _ask(settings_of_running(mode), SwitchAction.OFF, reason, by, wait, is_forced=force)


@kill_switch.command()
def status(
    mode: ModeOption = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Whether entries are blocked, since when and why, and who asked for what."""
    from sigmapilot_core.adapters.postgres.queries import reading
    from sigmapilot_core.adapters.postgres.queries_operators import kill_switch as found_of

    settings = settings_of_running(mode)
    with answering(settings) as engine, reading(engine) as db:
        found = found_of(db, settings.params.risk.kill_switch_cooldown_h)
    typer.echo(json.dumps(found, default=str) if as_json else _sentence(found))
    if not as_json:
        _print_events(found["events"])


def _ask(settings: Settings, action: SwitchAction, reason: str, by: str | None, wait_s: float, **how: bool) -> None:
    from sigmapilot_core.adapters.postgres.operator_store import ask_kill_switch
    from sigmapilot_core.adapters.postgres.queries import feed_now

    who = by or pwd.getpwuid(os.geteuid()).pw_name
    with answering(settings) as engine:
        try:
            with engine.begin() as connection:
                request = ask_kill_switch(connection, action, reason, who, "cli", feed_now(connection), **how)
        except ValueError as error:
            raise CommandError(f"{error}.") from error
        answer = _await_answer(engine, request.id, wait_s)
    if answer is None:
        raise CommandError(
            f"the request is written, and the stream has not answered within {wait_s:g} s; it will before it enters "
            "anything: see `sigmapilot kill-switch status`.",
            EXIT_TIMEOUT,
        )
    typer.echo(f"kill switch {answer['event']}: {answer['detail']}")
    raise typer.Exit(EXIT_FAILED if answer["event"] == "refused" else 0)


def _await_answer(engine: Any, request_id: str, wait_s: float) -> dict[str, Any] | None:
    from sigmapilot_core.adapters.postgres.queries import reading
    from sigmapilot_core.adapters.postgres.queries_operators import switch_answer

    deadline = time.monotonic() + wait_s
    while True:
        with reading(engine) as db:
            found = switch_answer(db, request_id)
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_S)


def _sentence(found: dict[str, Any]) -> str:
    waiting = f"; {len(found['pending'])} requests wait for the stream" if found["pending"] else ""
    if found["state"] in ("off", "unknown"):
        words = {"off": "kill switch off: entries are allowed", "unknown": "kill switch unknown: the stream never ran"}
        return words[found["state"]] + waiting
    ends = {
        "on": f"{'releases itself' if found['auto'] else 'may be released'} at {found['free_at']:%d %b %H:%M} UTC",
        "waits_for_person": "waits for a person",
    }[found["state"]]
    return f"kill switch on since {found['since']:%d %b %H:%M:%S} UTC: {found['reason']}; {ends}{waiting}"


def _print_events(events: list[dict[str, Any]]) -> None:
    if not events:
        return
    table = Table(title_justify="left")
    for heading in ("when (UTC)", "event", "by", "reason", "what became of it"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("when (UTC)", "event"))
    for row in events:
        who = f"{row['requested_by']} ({row['via']})" if row["cause"] == "request" else "rule"
        table.add_row(f"{row['at']:%d %b %H:%M:%S}", row["event"], who, row["reason"] or "", row["detail"])
    Console().print(table)
