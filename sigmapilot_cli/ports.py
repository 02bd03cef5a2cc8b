"""Ports are checked before anything starts, so that a conflict is one sentence and not a half-started system."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

import psutil

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.supervisor.spec import ProcessSpec


def require_free_ports(specs: Iterable[ProcessSpec]) -> None:
    """Check every port that will be listened on.

    Raises:
        CommandError: a port is taken; the sentence names it, who wants it, who has it and the way out.
    """
    for spec in specs:
        for port in spec.ports:
            if not is_free(port):
                raise CommandError(
                    f"port {port} on 127.0.0.1 is needed by {spec.name} but {_holder(port)} listens on it; stop that "
                    "or move all ports with --port-base, for example --port-base 5100."
                )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # as servers do: connections that are only winding down do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                words = psutil.Process(connection.pid).cmdline()
            except psutil.NoSuchProcess:
                continue
            return f"process {connection.pid} ({' '.join(words)[:80]})"
    return "another program"
