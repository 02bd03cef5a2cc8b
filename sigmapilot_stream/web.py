"""/healthz, /readyz and /metrics of the stream, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Health:
    """What a process says of itself: `missing` names what readiness lacks, `inputs_lag` how much waits to be decided on
    by partition."""

    missing: Callable[[], list[str]]
    inputs_lag: Callable[[], Mapping[str, int]]


@asynccontextmanager
async def serving(health: Health, registry: CollectorRegistry, port: int) -> AsyncIterator[int]:
    """Serve the three routes; gives the port, which 0 leaves to the system."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response(
            {"alive": True, "ready": not health.missing(), "inputs_lag": dict(health.inputs_lag())}
        )

    async def readyz(_: web.Request) -> web.Response:
        lacking = health.missing()
        return web.json_response({"ready": not lacking, "missing": lacking}, status=503 if lacking else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
