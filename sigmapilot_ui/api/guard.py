"""What stands around every request: host check, safe headers, the API's own metrics; and the token of changes."""

from __future__ import annotations

import hmac
import re
from time import perf_counter
from typing import Annotated

from fastapi import Depends, Header, HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmapilot_core.adapters.metrics import ApiMetrics
from sigmapilot_ui.api.answers import failure
from sigmapilot_ui.api.context import Shared

_PLAIN_HOST = re.compile(r"(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|[^.:\[\]]+)(:\d+)?")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
_HOW_TO_GET_A_TOKEN = (
    "This call changes something and needs a token: send the header `Authorization: Bearer <token>` with the one that "
    "`sigmapilot up` printed when it was first started, or set SIGMAPILOT_API_TOKEN to your own and restart."
)


def is_local_host(host: str) -> bool:
    """Whether a Host header is an address or a name without a dot.

    A foreign page can make a browser call us only under a domain of its own (DNS rebinding), and that has a dot.
    """
    return _PLAIN_HOST.fullmatch(host) is not None


class Guard:
    """ASGI middleware: refuses foreign hosts, adds headers, counts and times requests by their route."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, seen = perf_counter(), {"status": 500}

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if is_local_host(Headers(scope=scope).get("host", "localhost")):
                await self._app(scope, receive, answered)
            else:
                await failure(400, "This host name is not allowed; use localhost.")(scope, receive, answered)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.sigmapilot_api_requests_total.labels(scope["method"], route, str(seen["status"])).inc()
            self._metrics.sigmapilot_api_request_seconds.labels(route).observe(perf_counter() - started)


def require_token(context: Shared, authorization: Annotated[str | None, Header()] = None) -> None:
    """Refuse a change without the token, in the same time whatever the difference.

    Raises:
        HTTPException: 401 with the way to get one.
    """
    scheme, _, given = (authorization or "").partition(" ")
    token = context.config.api_token
    expected = token.get_secret_value() if token is not None else ""
    same = hmac.compare_digest(given.strip().encode(), expected.encode())
    if not (expected and scheme.lower() == "bearer" and same):
        raise HTTPException(401, _HOW_TO_GET_A_TOKEN, headers={"WWW-Authenticate": "Bearer"})


NeedsToken = Depends(require_token)
