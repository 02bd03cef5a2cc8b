"""Which account runs the embedded server: Postgres refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICE_NAME = "sigmapilot"
# in a range no distribution and no systemd feature assigns (systemd's UIDS-GIDS: 60578-61183 is unused)
SERVICE_UID = 60784


class ServerError(RuntimeError):
    """The embedded server cannot be prepared, started or reached; one sentence."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine; `uid` None is our own."""

    name: str
    uid: int | None = None
    gid: int | None = None

    @property
    def spawn(self) -> dict[str, Any]:
        """Arguments of `subprocess` that start a program under this account."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take(self, path: Path, mode: int | None = None) -> None:
        """Own a file or folder."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if mode is not None:
            path.chmod(mode)

    def take_tree(self, folder: Path) -> None:
        """Own a folder and all below it."""
        self.take(folder)
        for parent, folders, files in os.walk(folder):
            for name in folders + files:
                self.take(Path(parent, name))


@dataclass(frozen=True, slots=True)
class ServerAccounts:
    """`operator` is who connects, `server` runs postgres, `creator` runs initdb once."""

    operator: str
    server: Account
    creator: Account


def server_accounts() -> ServerAccounts:
    """The accounts for this process.

    As root: the account `sigmapilot` if the machine has one, else a fixed uid that nobody else has. The server needs
    no entry in the password file, so none is made; initdb does, so it runs once as `nobody` in a folder that is then
    handed over.

    Raises:
        ServerError: our uid has no name, or the machine has no unprivileged account.
    """
    try:
        operator = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ServerError(
            f"user id {os.geteuid()} has no name on this machine, which Postgres needs; run as a named user, or set "
            "SIGMAPILOT_DATABASE_URL to an external server."
        ) from None
    if os.geteuid() != 0:
        return ServerAccounts(operator, Account(operator), Account(operator))
    named = _named(SERVICE_NAME)
    if named is not None:
        return ServerAccounts(operator, named, named)
    creator = _named("nobody") or next((_account(e) for e in pwd.getpwall() if e.pw_uid != 0), None)
    if creator is None:
        raise ServerError(
            f"no account but root exists, and Postgres refuses to run as root; create a user named {SERVICE_NAME}, or "
            "set SIGMAPILOT_DATABASE_URL to an external server."
        )
    return ServerAccounts(operator, Account(SERVICE_NAME, SERVICE_UID, SERVICE_UID), creator)


def _named(name: str) -> Account | None:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return None


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
