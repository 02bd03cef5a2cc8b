"""Talking to the venue over HTTP, with every request inside the weight budget (spec sections 1.0, 4.1, 8.3).

Reads are retried with jitter on transient faults. Actions are sent once: a lost answer is `OutcomeUnknown`. Requests
themselves are in `calls.py` and `histories.py`, shared by the asynchronous and the blocking client.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import orjson
import stamina

from sigmapilot_core.adapters.hyperliquid.calls import Call
from sigmapilot_core.adapters.hyperliquid.errors import OutcomeUnknown, PermanentError, RateLimited, TransientError
from sigmapilot_core.adapters.hyperliquid.histories import Paged
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, Priority, SyncLimiter

T = TypeVar("T")
_SHOWN = 120
_BATCH = 40  # orders of one action that cost no more than a single one


@dataclass(frozen=True, slots=True)
class RestParams:
    """Where the venue is and how patient we are; a read is tried `attempts` times in all."""

    base_url: str
    timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    keepalive_s: float = 15.0  # the venue drops idle connections (SDK issues 21 and 138): ours end first
    attempts: int = 4
    wait_initial_s: float = 0.5
    wait_max_s: float = 8.0
    wait_jitter_s: float = 1.0

    def client_options(self) -> dict[str, Any]:
        """Options both httpx clients share; a proxy of the environment never stands before a loopback address."""
        return {
            "base_url": self.base_url.rstrip("/"),
            "timeout": httpx.Timeout(self.timeout_s, connect=self.connect_timeout_s),
            "limits": httpx.Limits(max_connections=20, keepalive_expiry=self.keepalive_s),
            "trust_env": not is_loopback(self.base_url),
            "headers": {"Content-Type": "application/json"},
            "verify": trusted(self.base_url),
        }

    def retries(self) -> dict[str, Any]:
        """Options of the retry; the limiter may hold a request for long, so there is no limit on the whole."""
        return {
            "on": TransientError,
            "attempts": self.attempts,
            "timeout": None,
            "wait_initial": self.wait_initial_s,
            "wait_max": self.wait_max_s,
            "wait_jitter": self.wait_jitter_s,
        }


def trusted(url: str) -> ssl.SSLContext | bool:
    """Whose certificates a client of a URL accepts: those of the known authorities, or, where the URL is not TLS, none,
    since reading them takes longer than everything that a start asks over it."""
    return urlsplit(url).scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def is_loopback(url: str) -> bool:
    """True for 127.0.0.0/8, ::1 and localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_answer(response: httpx.Response, what: str) -> object:
    """The JSON of a good answer; raises what the status means. 403 comes from the network in front of the venue."""
    code, shown = response.status_code, response.text[:_SHOWN]
    if code == 429:
        raise RateLimited(f"{what} was answered 429: the address has used up its weight.")
    if code >= 500 or code == 408:
        raise TransientError(f"{what} was answered {code}: {shown!r}; allowed is 200.")
    if code != 200:
        raise PermanentError(f"{what} was answered {code}: {shown!r}; allowed is 200.")
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as fault:
        raise PermanentError(f"{what} was answered with {shown!r}; allowed is JSON.") from fault


def retry_after(response: httpx.Response) -> float | None:
    """Seconds of a Retry-After header, where the answer carries one we understand."""
    header = response.headers.get("Retry-After", "")
    return float(header) if header.isascii() and header.isdigit() and len(header) < 5 else None


def _lost(fault: httpx.HTTPError, what: str) -> str:
    return f"{what} brought no answer: {type(fault).__name__}."


class Info:
    """The asynchronous client. Closes its connections with `aclose` or `async with`."""

    def __init__(self, params: RestParams, limiter: Limiter, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._params = params
        self._limiter = limiter
        self._client = httpx.AsyncClient(transport=transport, **params.client_options())

    async def get(self, call: Call[T], priority: Priority = Priority.BACKFILL) -> T:
        """The reply to one read. Raises `TransientError` after all attempts, `PermanentError`, `BadMessage`."""
        async for attempt in stamina.retry_context(**self._params.retries()):
            with attempt:
                raw = await self._ask(call, priority)
        return call.read(raw)

    async def collect(self, paged: Paged[T], priority: Priority = Priority.BACKFILL) -> T:
        """The whole of a history that takes several requests."""
        try:
            call = next(paged)
            while True:
                call = paged.send(await self.get(call, priority))
        except StopIteration as end:
            whole: T = end.value
            return whole
        finally:
            paged.close()

    async def act(self, payload: Mapping[str, Any], batch_length: int, priority: Priority) -> object:
        """Send a signed action once. Raises `OutcomeUnknown` where it may have happened without our knowing."""
        await self._limiter.acquire(1 + batch_length // _BATCH, priority)
        what = "The action"
        try:
            response = await self._client.post("/exchange", content=orjson.dumps(payload))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            raise TransientError(f"{what} was not sent: {type(fault).__name__}.") from fault
        except httpx.HTTPError as fault:
            raise OutcomeUnknown(_lost(fault, what)) from fault
        if response.status_code == 429:
            self._limiter.throttle(retry_after(response))
        try:
            return read_answer(response, what)
        except RateLimited:
            raise
        except TransientError as fault:
            raise OutcomeUnknown(str(fault)) from fault

    async def _ask(self, call: Call[Any], priority: Priority) -> object:
        ticket = await self._limiter.acquire(call.estimate, priority)
        try:
            response = await self._client.post("/info", content=orjson.dumps(call.body))
        except httpx.HTTPError as fault:
            raise TransientError(_lost(fault, call.kind)) from fault
        if response.status_code == 429:
            self._limiter.throttle(retry_after(response))
        raw = read_answer(response, call.kind)
        self._limiter.correct(ticket, call.actual(raw))
        return raw

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class SyncInfo:
    """The blocking client for batch jobs: the same calls, the same budget rules, one per thread or shared."""

    def __init__(self, params: RestParams, limiter: SyncLimiter, transport: httpx.BaseTransport | None = None) -> None:
        self._params = params
        self._limiter = limiter
        self._client = httpx.Client(transport=transport, **params.client_options())

    def get(self, call: Call[T], priority: Priority = Priority.BACKFILL) -> T:
        """The reply to one read. Raises `TransientError` after all attempts, `PermanentError`, `BadMessage`."""
        for attempt in stamina.retry_context(**self._params.retries()):
            with attempt:
                raw = self._ask(call, priority)
        return call.read(raw)

    def collect(self, paged: Paged[T], priority: Priority = Priority.BACKFILL) -> T:
        """The whole of a history that takes several requests."""
        try:
            call = next(paged)
            while True:
                call = paged.send(self.get(call, priority))
        except StopIteration as end:
            whole: T = end.value
            return whole
        finally:
            paged.close()

    def _ask(self, call: Call[Any], priority: Priority) -> object:
        ticket = self._limiter.acquire(call.estimate, priority)
        try:
            response = self._client.post("/info", content=orjson.dumps(call.body))
        except httpx.HTTPError as fault:
            raise TransientError(_lost(fault, call.kind)) from fault
        if response.status_code == 429:
            self._limiter.throttle(retry_after(response))
        raw = read_answer(response, call.kind)
        self._limiter.correct(ticket, call.actual(raw))
        return raw

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
