"""The emulator's one application: the venue's routes and the emulator's own (out of protocol) under /emulator."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sigmapilot_core.adapters.emulator.faults import CATALOGUE, parse_order
from sigmapilot_core.adapters.emulator.http_faults import answered, html, refused, too_many_requests, unprocessable
from sigmapilot_core.adapters.emulator.protocol import converse
from sigmapilot_core.adapters.emulator.requests import OK, TOO_MANY, Answer
from sigmapilot_core.adapters.emulator.service import Emulator, NotPossible, Running
from sigmapilot_core.adapters.hyperliquid.fields import positive, to_address

_MAX_BODY_BYTES = 4 << 20
_JSON = "application/json"
_EVENT_SIGMAS = 3.0


def application(emulator: Emulator) -> web.Application:
    """All routes of an emulator on one port."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    venue, control = VenueRoutes(emulator), ControlRoutes(emulator)
    app.add_routes(
        [
            web.post("/info", venue.info),
            web.post("/exchange", venue.exchange),
            web.get("/ws", venue.websocket),
            web.get("/Mainnet/leaderboard", venue.leaderboard),
            web.get("/Mainnet/vaults", venue.vaults),
            web.get("/healthz", control.status),
            web.get("/emulator/status", control.status),
            web.get("/emulator/users", control.users),
            web.get("/emulator/faults", control.faults),
            web.get("/emulator/losses", control.losses),
            web.post("/emulator/ready", control.ready),
            web.post("/emulator/deposit", control.deposit),
            web.post("/emulator/event", control.event),
            web.post("/emulator/fault", control.fault),
            web.post("/emulator/advance", control.advance),
        ]
    )
    return app


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type=_JSON)


async def _body(request: web.Request) -> Any:
    """The parsed body with the order of its keys; None if it is not JSON."""
    try:
        return json.loads(await request.text())
    except (ValueError, RecursionError):
        return None


class VenueRoutes:
    """What the exchange itself serves. Until there is a source, it is like a venue under upgrade: 503."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def info(self, request: web.Request) -> web.StreamResponse:
        """POST /info."""
        body = await _body(request)
        kind = str(body.get("type")) if isinstance(body, dict) else ""
        return await self._answer(request, kind, lambda r: r.requests.info(body, request.remote or ""))

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        """POST /exchange."""
        body = await _body(request)
        action = body.get("action") if isinstance(body, dict) else None
        kind = str(action.get("type")) if isinstance(action, dict) else ""
        return await self._answer(request, kind, lambda r: r.requests.action(body, request.remote or ""))

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """GET /ws."""
        running = self._emulator.running
        if running is None:
            return html(503, "Service Unavailable")
        refusal = await refused(request, "ws", self._emulator.faults)
        return await converse(request, running.feed) if refusal is None else refusal

    async def leaderboard(self, request: web.Request) -> web.StreamResponse:
        """GET /Mainnet/leaderboard."""
        running = self._emulator.running
        if running is None:
            return html(503, "Service Unavailable")
        return await answered(
            request, "leaderboard", self._emulator.faults, lambda: running.leaderboard.answer(request)
        )

    async def vaults(self, request: web.Request) -> web.StreamResponse:
        """GET /Mainnet/vaults: this venue has none."""
        return _json([])

    async def _answer(self, request: web.Request, kind: str, ask: Callable[[Running], Answer]) -> web.StreamResponse:
        running = self._emulator.running
        if running is None:
            return html(503, "Service Unavailable")

        async def answer() -> web.StreamResponse:
            given = ask(running)
            if given.status == OK:
                return _json(given.body)
            return too_many_requests() if given.status == TOO_MANY else unprocessable()

        return await answered(request, kind, self._emulator.faults, answer)


class ControlRoutes:
    """The emulator's own routes. What changes its state needs JSON, and the token where one is configured."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GET /emulator/status and /healthz: 200 when ready, 503 until then, the same body."""
        status = self._emulator.status()
        return _json(status, 200 if status["ready"] else 503)

    async def users(self, request: web.Request) -> web.StreamResponse:
        """GET /emulator/users: accounts that occur in the recording; none in any other mode."""
        recording = self._emulator.running.recording if self._emulator.running is not None else None
        return _json({"users": [] if recording is None else recording.recorded_users})

    async def faults(self, request: web.Request) -> web.StreamResponse:
        """GET /emulator/faults: the catalogue."""
        return _json([{"name": f.name, "place": f.place, "summary": f.summary} for f in CATALOGUE.values()])

    async def losses(self, request: web.Request) -> web.StreamResponse:
        """GET /emulator/losses: every trade that faults dropped, altered or held back, as [time, coin, tid]."""
        running = self._emulator.running
        return _json({} if running is None else running.losses.listed())

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """POST /emulator/ready: the stream listens."""
        return await self._change(request, self._ready)

    async def deposit(self, request: web.Request) -> web.StreamResponse:
        """POST /emulator/deposit {user, usdc}: money for an account of real orders."""
        return await self._change(request, self._deposit)

    async def event(self, request: web.Request) -> web.StreamResponse:
        """POST /emulator/event {coin, kind?, direction?, sigmas?}."""
        return await self._change(request, self._event)

    async def fault(self, request: web.Request) -> web.StreamResponse:
        """POST /emulator/fault {name, on?, coin?, seconds?, ...}."""
        return await self._change(request, self._fault)

    async def advance(self, request: web.Request) -> web.StreamResponse:
        """POST /emulator/advance {to_ms} or {ms}."""
        return await self._change(request, self._advance)

    async def _ready(self, body: dict[str, Any]) -> Any:
        return {"stream_ready_ms": self._emulator.mark_ready()}

    async def _deposit(self, body: dict[str, Any]) -> Any:
        user = to_address(body.get("user"), "user")
        self._emulator.deposit(user, positive(body, "usdc"))
        return {"user": user}

    async def _event(self, body: dict[str, Any]) -> Any:
        sigmas = body.get("sigmas", _EVENT_SIGMAS)
        if isinstance(sigmas, bool) or not isinstance(sigmas, int | float):
            raise ValueError(f"sigmas is {sigmas!r}; allowed is a number.")
        direction = {"long": 1, "short": -1}.get(body.get("direction", "long"), 0)
        if not direction:
            raise ValueError(f"direction is {body['direction']!r}; allowed is long or short.")
        started = self._emulator.start_event(
            str(body.get("kind", "info")), str(body.get("coin")), direction, float(sigmas)
        )
        return {"started_ms": started}

    async def _fault(self, body: dict[str, Any]) -> Any:
        emulator = self._emulator
        order = parse_order(body, emulator.parts().venue.now_ms)
        if body.get("on", True):
            await emulator.order_fault(order)
        else:
            emulator.faults.switch_off(order.name, order.coin)
        return {"faults": emulator.faults.listed()}

    async def _advance(self, body: dict[str, Any]) -> Any:
        now = self._emulator.parts().venue.now_ms
        wanted = body["to_ms"] if "to_ms" in body else body.get("ms")
        if type(wanted) is not int:
            raise ValueError(f"to_ms is {wanted!r}; allowed is a whole number (to_ms, or ms from now).")
        return {"now_ms": await self._emulator.advance(wanted if "to_ms" in body else now + wanted)}

    async def _change(
        self, request: web.Request, act: Callable[[dict[str, Any]], Awaitable[Any]]
    ) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        body = await _body(request) if request.can_read_body else {}
        if not isinstance(body, dict):
            return _json({"error": "The body is not a JSON object; allowed is one."}, 400)
        try:
            return _json(await act(body))
        except ValueError as fault:
            return _json({"error": str(fault)}, 400)
        except NotPossible as fault:
            return _json({"error": str(fault)}, 409)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """A page of a browser can send neither this content type nor this header without being asked first."""
        if request.content_type != _JSON:
            return _json({"error": f"Content-Type is {request.content_type}; allowed is {_JSON}."}, 415)
        token = self._emulator.config.token
        given = request.headers.get("Authorization", "")
        if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _json({"error": "The token is missing or wrong; allowed is Authorization: Bearer <token>."}, 401)
        return None
