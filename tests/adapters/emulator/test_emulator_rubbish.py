"""Whatever a client sends, the venue answers; nothing it sends ends the process or the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from emulator_harness import ALICE, FUNDED, START_MS, HandClock, Serve, StillClock, Trader, script, serve_script
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.adapters.emulator.actions import read_envelope
from sigmapilot_core.adapters.emulator.catalogue import ALL_INFO
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.info import Unprocessable
from sigmapilot_core.adapters.emulator.requests import Requests
from sigmapilot_core.adapters.emulator.scripted_source import ScriptedSource
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.emulator.signatures import BadEnvelope, recover
from sigmapilot_core.adapters.emulator.subscriptions import TYPES, InvalidSubscription, normalise

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([ALICE, "BTC", "1m", "5"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)
FIELDS = st.sampled_from(
    ["coin", "user", "startTime", "endTime", "req", "oid", "dex", "nSigFigs", "mantissa", "users", "interval", "fast"]
)


@pytest.fixture(scope="module")
def requests() -> Requests:
    async def opened() -> Requests:
        emulator = Emulator(EmulatorConfig(stepped=True), StillClock(), seconds=HandClock())
        emulator.open(ScriptedSource(script(), START_MS))
        return emulator.parts().requests

    return asyncio.run(opened())


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(ALL_INFO)), fields=st.dictionaries(FIELDS, VALUES, max_size=4))
def test_any_request_for_information_is_answered(requests: Requests, kind: str, fields: dict[str, Any]) -> None:
    answer = requests.info({"type": kind, **fields}, kind)
    assert answer.status in (200, 422, 429)


@settings(deadline=None, max_examples=60)
@given(action=VALUES, nonce=VALUES, signature=VALUES, vault=VALUES)
def test_any_action_is_answered(requests: Requests, action: Any, nonce: Any, signature: Any, vault: Any) -> None:
    body = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": vault}
    assert requests.action(body, "fuzz").status in (200, 422, 429)


@settings(deadline=None, max_examples=30)
@given(fields=st.dictionaries(st.text(max_size=5), VALUES, max_size=3), kind=st.text(max_size=12))
def test_any_signed_action_is_recovered_or_refused(fields: dict[str, Any], kind: str) -> None:
    body = {"action": fields | {"type": kind}, "nonce": 1, "signature": {"r": 1, "s": 1, "v": 27}}
    with contextlib.suppress(BadEnvelope, Unprocessable):
        assert recover(read_envelope(body)).startswith("0x")


@given(kind=st.one_of(st.sampled_from(sorted(TYPES)), VALUES), fields=st.dictionaries(FIELDS, VALUES, max_size=4))
def test_any_subscription_is_normalised_or_invalid(kind: Any, fields: dict[str, Any]) -> None:
    try:
        key, echo = normalise({"type": kind, **fields}, {"BTC"})
    except InvalidSubscription:
        return
    assert (key[0], echo["type"]) == (kind, kind)
    assert hash(key) is not None


async def test_rubbish_over_the_socket_is_answered_and_the_connection_stays(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        for text in (
            "[" * 100_000,
            '{"method":"subscribe","subscription":' + "9" * 40 + "}",
            '{"method":"subscribe","subscription":{"type":"trades","coin":"\\ud800"}}',
            '{"method":"post","id":' + "9" * 40 + ',"request":{}}',
            '{"method":["ping"]}',
            "null",
        ):
            await socket.raw.send_str(text)
            assert (await socket.next())["channel"] == "error"
        await socket.say(method="post", id=1, request={"type": ["x"], "payload": 7})
        assert (await socket.next())["data"]["response"]["type"] == "error"
        assert await socket.silence()


@pytest.mark.parametrize("path", ["/info", "/exchange"])
@pytest.mark.parametrize("body", ["", "null", "[" * 50_000, '{"type":', '{"type":"\\ud800"}', "\ufeff{}"])
async def test_rubbish_over_http_is_unprocessable(serve: Serve, path: str, body: str) -> None:
    async with serve() as client, client.http.post(f"{client.url}{path}", data=body.encode()) as reply:
        assert reply.status == 422


async def test_names_that_cannot_be_shown_are_refused() -> None:
    async with serve_script(config=FUNDED) as client:
        for name in ("\u00e9", "a\nb", ""):
            answer = await Trader(client).send({"type": "createSubAccount", "name": name})
            assert answer["status"] == "err", json.dumps(answer)


async def test_a_source_that_fails_is_seen_and_not_ready() -> None:
    class Broken(ScriptedSource):
        def advance(self, to_ms: int) -> Any:
            raise RuntimeError("the world has come to an end")

    emulator = Emulator(EmulatorConfig(), LaterClock())
    emulator.open(Broken(script(), START_MS))
    await asyncio.wait_for(emulator.failed.wait(), 5)
    assert (emulator.status()["ready"], emulator.status()["phase"]) == (False, "failed")
    await emulator.close()


class LaterClock:
    def now_ms(self) -> int:
        return START_MS + 1_000
