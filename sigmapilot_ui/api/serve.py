"""One application on several ports of this machine: one event loop, one server, one socket a port."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

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
    one.set_inheritable(True)
    return one


def server(app: FastAPI, log_level: str = "info") -> uvicorn.Server:
    """A server that finishes its requests within 5 s of SIGINT or SIGTERM."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level=log_level, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    )


def run(app: FastAPI, sockets: Sequence[socket.socket], log_level: str = "info") -> None:
    """Serve until a signal, then close every socket."""
    try:
        server(app, log_level).run(sockets=list(sockets))
    finally:
        for one in sockets:
            one.close()
