"""Names of consumer groups; each mode has its own, as each has its own database."""

from __future__ import annotations

from sigmapilot_core.adapters.settings import Settings

ACCOUNT = "paper"
"""The trading account that signals go to."""


def workers_group(settings: Settings) -> str:
    """The group that shares the coins."""
    return f"sigmapilot-{settings.mode.slug}-workers"


def executor_group(settings: Settings) -> str:
    """The group whose one member executes for the account: its topic has one partition."""
    return f"sigmapilot-{settings.mode.slug}-executor-{ACCOUNT}"
