"""GET /Mainnet/leaderboard: the static file of the web page, with its bad days (spec section 2)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import cycle, islice

from aiohttp import web

from sigmapilot_core.adapters.emulator.faults import FaultRegistry
from sigmapilot_core.adapters.emulator.http_faults import html
from sigmapilot_core.adapters.hyperliquid.encode_account import leaderboard_chunks
from sigmapilot_core.domain.params import MINUTE_MS
from sigmapilot_core.domain.venue import LeaderboardRow
from sigmapilot_core.ports import VenueSource

_REFRESH_MS = 5 * MINUTE_MS
_PART_BYTES = 1 << 16
_CUT_BYTES = 40


def as_of(request: web.Request) -> int | None:
    """The day asked for (`asOfMs`, a control the exchange does not have); ValueError when it is not a number."""
    text = request.query.get("asOfMs")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"asOfMs is {text!r}; allowed is a whole number of milliseconds.")
    return int(text)


class LeaderboardFile:
    """The file as a CDN keeps it: built anew every five minutes of the venue's time, else the same bytes."""

    def __init__(self, source: VenueSource, faults: FaultRegistry) -> None:
        self._source = source
        self._faults = faults
        self._kept: tuple[int, bytes, str] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file, 304 when the client's copy is the same, or what a fault makes of it."""
        if self._faults.find("leaderboard_403"):
            return html(403, "Forbidden")
        if self._faults.find("leaderboard_not_json"):
            return html(200, "Checking your browser")
        try:
            body, etag = await self._file(as_of(request))
        except ValueError as fault:
            raise web.HTTPBadRequest(text=str(fault)) from fault
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        if self._faults.find("leaderboard_truncated"):
            body = body[: len(body) // 2 - _CUT_BYTES]
        return await _sent(request, body, etag)

    async def _file(self, wanted: int | None) -> tuple[bytes, str]:
        huge = self._faults.find("leaderboard_huge")
        edition = self._source.now_ms // _REFRESH_MS
        if wanted is None and huge is None and self._kept is not None and self._kept[0] == edition:
            return self._kept[1:]
        rows = self._source.leaderboard(wanted)
        if huge is not None:
            rows = list(islice(cycle(rows), int(huge.rows)))
        body, etag = await asyncio.to_thread(_built, rows)
        if wanted is None and huge is None:
            self._kept = (edition, body, etag)
        return body, etag


def _built(rows: Sequence[LeaderboardRow]) -> tuple[bytes, str]:
    body = b"".join(leaderboard_chunks(rows))
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


async def _sent(request: web.Request, body: bytes, etag: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "ETag": etag})
    await response.prepare(request)
    for start in range(0, len(body), _PART_BYTES):
        await response.write(body[start : start + _PART_BYTES])
    await response.write_eof()
    return response
