"""Asks a process whether it is ready."""

from __future__ import annotations

import asyncio

import httpx

from sigmapilot_cli.supervisor.spec import CallReady, HttpReady, LogReady, Readiness, SocketReady, TcpReady


async def is_ready(ready: Readiness, output_matched: bool, timeout_s: float) -> bool:
    """One question, answered within `timeout_s`; no answer is no."""
    try:
        async with asyncio.timeout(timeout_s):
            match ready:
                case HttpReady(url):
                    return await _answers_200(url, timeout_s)
                case TcpReady(port):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return True
                case SocketReady(path):
                    _, writer = await asyncio.open_unix_connection(path)
                    writer.close()
                    return True
                case LogReady():
                    return output_matched
                case CallReady(call):
                    return await asyncio.to_thread(call)
    except (OSError, TimeoutError):
        return False


async def _answers_200(url: str, timeout_s: float) -> bool:
    # a proxy of the environment must not be asked about a port of this machine
    async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:
        try:
            return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
