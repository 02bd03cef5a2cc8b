"""Pinned accounts from the command line, over a real database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Command = Callable[..., tuple[int, str, str]]

ACCOUNT = "0x" + "ab" * 20


@pytest.fixture(autouse=True)
def database(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_url)


def test_what_is_pinned_and_unpinned_is_told_with_who_and_why(command: Command) -> None:
    assert command("pinned", "history")[1] == "no account was ever pinned.\n"
    assert command("pinned", "add", ACCOUNT, "--nickname", "whale")[0] == 0
    assert command("pinned", "remove", ACCOUNT, "--reason", "trades no longer")[0] == 0
    code, told, _ = command("pinned", "history")
    newest, oldest = told.splitlines()
    assert code == 0
    assert f"unpin  {ACCOUNT} by " in newest
    assert newest.endswith("(cli): trades no longer")
    assert oldest.endswith("(cli): no reason given")


def test_nothing_is_unpinned_without_a_reason(command: Command) -> None:
    command("pinned", "add", ACCOUNT)
    assert command("pinned", "remove", ACCOUNT)[0] == 2
    code, _, error = command("pinned", "remove", ACCOUNT, "--reason", " ")
    assert (code, error) == (1, "sigmapilot: a reason is needed: it stays in hl_pinned_changes.\n")
    assert ACCOUNT in command("pinned", "list")[1]
