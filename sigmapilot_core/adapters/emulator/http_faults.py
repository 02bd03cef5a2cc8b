"""HTTP answers as they are on a bad day: refusals, rubbish, delays, and cuts after the deed was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from sigmapilot_core.adapters.emulator.faults import FaultRegistry
from sigmapilot_core.adapters.emulator.info import UNREADABLE

_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
Answer = Callable[[], Awaitable[web.StreamResponse]]


def html(status: int, title: str) -> web.Response:
    """An error page as the proxies in front of the venue send it."""
    return web.Response(status=status, text=_HTML.format(f"{status} {title}"), content_type="text/html")


def too_many_requests() -> web.Response:
    """429 as the venue sends it: the body is `null`."""
    return web.Response(status=429, text="null", content_type="application/json")


def unprocessable() -> web.Response:
    """422 as the venue sends it."""
    return web.Response(status=422, text=UNREADABLE)


_INSTEAD: dict[str, Callable[[], web.Response]] = {
    "http_429": too_many_requests,
    "http_422": unprocessable,
    "http_502": lambda: html(502, "Bad Gateway"),
    "http_503": lambda: html(503, "Service Unavailable"),
    "http_not_json": lambda: web.Response(text="upstream connect error or disconnect/reset before headers"),
}


async def refused(request: web.Request, kind: str, faults: FaultRegistry) -> web.Response | None:
    """What is answered instead of executing a request of a kind (its type); None if it goes on, after a delay."""
    scope = {"path": request.path, "request": kind}
    for name, instead in _INSTEAD.items():
        if faults.find(name, **scope):
            return instead()
    slow = faults.find("http_slow", **scope)
    if slow is not None:
        await asyncio.sleep(slow.delay_s)
    return None


async def answered(request: web.Request, kind: str, faults: FaultRegistry, answer: Answer) -> web.StreamResponse:
    """The answer to a request of a kind, as the faults in force let it through."""
    scope = {"path": request.path, "request": kind}
    instead = await refused(request, kind, faults)
    if instead is not None:
        return instead
    response = await answer()
    late = faults.find("http_late", **scope)
    if late is not None:
        await asyncio.sleep(late.delay_s)
    if faults.find("http_disconnect", **scope) and request.transport is not None:
        request.transport.abort()
    elif faults.find("http_truncated", **scope) and isinstance(response, web.Response):
        return await _cut(request, response)
    return response


async def _cut(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, end the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    part = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    part.content_length = len(body) + 1
    await part.prepare(request)
    await part.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return part
