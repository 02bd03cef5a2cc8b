"""The emulator's own routes: readiness, the stepped clock, the token."""

from __future__ import annotations

import json

import aiohttp
from emulator_harness import START_MS, Serve, StillClock

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator


async def test_without_a_source_only_the_status_answers_and_says_so() -> None:
    emulator = Emulator(EmulatorConfig(stepped=True), StillClock())
    async with serving(emulator) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/emulator/status") as reply:
            assert (reply.status, (await reply.json())["ready"]) == (503, False)
        async with http.post(f"{url}/info", json={"type": "meta"}) as reply:
            assert reply.status == 503
        async with http.post(f"{url}/emulator/ready", json={}) as reply:
            assert reply.status == 409


async def test_the_status_tells_clock_and_readiness(serve: Serve) -> None:
    async with serve() as client:
        async with client.http.get(f"{client.url}/emulator/status") as reply:
            status = await reply.json()
        assert reply.status == 200
        assert (status["ready"], status["now_ms"], status["virtual_clock"]) == (True, START_MS, False)


async def test_ready_is_remembered_from_its_first_call(serve: Serve) -> None:
    async with serve() as client:
        first = await client.post("/emulator/ready", {})
        await client.advance(500)
        assert await client.post("/emulator/ready", {}) == first
        assert json.loads(first[1]) == {"stream_ready_ms": START_MS}


async def test_a_stepped_clock_moves_by_and_to(serve: Serve) -> None:
    async with serve() as client:
        assert json.loads((await client.post("/emulator/advance", {"ms": 250}))[1]) == {"now_ms": START_MS + 250}
        status, _ = await client.post("/emulator/advance", {"to_ms": START_MS})
        assert status == 409
        status, text = await client.post("/emulator/advance", {"ms": "soon"})
        assert (status, "allowed is a whole number" in text) == (400, True)


async def test_state_changes_need_the_token_where_there_is_one(serve: Serve) -> None:
    async with serve(config=EmulatorConfig(token="open sesame")) as client:
        assert (await client.post("/emulator/ready", {}))[0] == 401
        assert (await client.post("/emulator/ready", {}, Authorization="Bearer close"))[0] == 401
        assert (await client.post("/emulator/ready", {}, Authorization="Bearer open sesame"))[0] == 200
        async with client.http.get(f"{client.url}/emulator/status") as reply:
            assert reply.status == 200


def test_the_token_is_not_shown() -> None:
    assert "sesame" not in repr(EmulatorConfig(token="open sesame"))


async def test_a_web_page_cannot_change_anything(serve: Serve) -> None:
    async with serve() as client, client.http.post(f"{client.url}/emulator/ready", data=b"{}") as reply:
        assert reply.status == 415


async def test_a_fault_that_does_not_exist_is_answered_with_those_that_do(serve: Serve) -> None:
    async with serve() as client:
        status, text = await client.post("/emulator/fault", {"name": "earthquake"})
        assert (status, "drop_tcp" in text) == (400, True)
        status, text = await client.post("/emulator/fault", {"name": "drop_tcp", "colour": "red"})
        assert (status, "colour" in text) == (400, True)
        status, text = await client.post("/emulator/fault", {"name": "missing_trades", "probability": 2})
        assert (status, "probability is 2" in text) == (400, True)
