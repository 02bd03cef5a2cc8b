"""One application on several ports of this machine: one event loop, one server, one socket a port."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from types import FrameType

import uvicorn
from fastapi import FastAPI

LOOPBACK = "127.0.0.1"


class PortTakenError(OSError):
    """Another program listens on a port of ours."""


def listen(ports: Iterable[int], host: str = LOOPBACK) -> list[socket.socket]:
    """Listening sockets, all or none; port 0 takes a free one.

    Raises:
        PortTakenError: a port is taken; none stays open.
    """
    with ExitStack() as opened:
        found = [opened.enter_context(_bound(host, port)) for port in ports]
        opened.pop_all()
        return found


def _bound(host: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((host, port))
    except OSError as error:
        one.close()
        raise PortTakenError(
            f"port {port} on {host} cannot be opened ({error.strerror}): stop the program that has it, or move all "
            "ports with --port-base"
        ) from error
    # from here on connections wait until the server accepts them, instead of being refused
    one.listen(2048)
    return one


def server(app: FastAPI) -> uvicorn.Server:
    """A server that finishes its requests within 5 s of SIGINT or SIGTERM; it logs as its process does."""
    return uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    )


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def run(app: FastAPI, sockets: Sequence[socket.socket]) -> None:
    """Serve until SIGINT or SIGTERM, close every socket and leave with exit code 0."""
    # the server passes the signal on when it has shut down: an ordered end is no failure
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        server(app).run(sockets=list(sockets))
    finally:
        for one in sockets:
            one.close()
