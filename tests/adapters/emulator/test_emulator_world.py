"""A simulated world behind the emulator: stamped by blocks, the same again after a restart, told by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from emulator_harness import START_MS, Client, HandClock, StillClock, script, serve_script, trade

from sigmapilot_core.adapters.emulator import disturbances
from sigmapilot_core.adapters.emulator.command import options
from sigmapilot_core.adapters.emulator.composition import Built, Options, RecordingPlan, SourceError, build_source
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.disturbances import Disturbance, DisturbancePlan
from sigmapilot_core.adapters.emulator.faults import CATALOGUE, FaultOrder
from sigmapilot_core.adapters.emulator.scripted_source import ScriptedSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.emulator.stamped import StampedSource
from sigmapilot_core.adapters.emulator.world_store import FILE_NAME, WorldMismatch, WorldPlan
from sigmapilot_core.adapters.settings import load_settings
from sigmapilot_core.domain.simulation.settings import DEFAULT_COINS, Profile

PLAN = WorldPlan(seed=3, traders=20, history_days=1, profile=Profile.DEMO)


def small(folder: Path) -> Options:
    return Options(EmulatorConfig(stepped=True), PLAN, folder)


@asynccontextmanager
async def world(built: Built) -> AsyncIterator[Client]:
    emulator = Emulator(EmulatorConfig(stepped=True), StillClock(), seconds=HandClock())
    async with serving(emulator) as url, aiohttp.ClientSession() as http:
        emulator.open(built.source, built.world, built.disturbances, **built.about)
        yield Client(emulator, url, http)


# stamps


def test_events_carry_the_end_of_their_block() -> None:
    source = StampedSource(ScriptedSource(script(trade(1, 1), trade(2, 100), trade(3, 101)), START_MS), 100)
    assert [t.time_ms - START_MS for t in source.advance(START_MS + 200)] == [100, 100, 200]
    user = source.recent_trades("BTC", 1)[0].buyer
    assert [f.tid for f in source.fills(user, START_MS, START_MS + 100)] == [1, 2]
    assert [f.tid for f in source.fills(user, START_MS + 101, START_MS + 200)] == [3]
    assert [f.time_ms - START_MS for f in source.fills(user, 0, START_MS + 200)] == [100, 100, 200]


def test_a_stamped_source_moves_from_block_to_block() -> None:
    source = StampedSource(ScriptedSource(script(), START_MS + 30), 100)
    assert source.now_ms == START_MS + 100
    with pytest.raises(ValueError, match="multiple of 100"):
        source.advance(START_MS + 150)


async def test_all_events_of_a_block_of_the_world_have_one_time(tmp_path: Path) -> None:
    async with world(build_source(small(tmp_path), START_MS)) as client, client.socket() as socket:
        for coin in DEFAULT_COINS:
            await socket.say(method="subscribe", subscription={"type": "trades", "coin": coin.coin})
        await client.advance(60_000)
        await socket.say(method="ping")
        seen: Counter[tuple[str, int]] = Counter()
        while (frame := await socket.next())["channel"] != "pong":
            live = [t for t in frame["data"] if t["time"] > START_MS] if frame["channel"] == "trades" else []
            seen.update({(t["coin"], t["time"]) for t in live})
            assert len({t["time"] for t in live}) <= 1
        assert seen
        assert max(seen.values()) == 1  # one frame for each coin and block
        assert all(time % 100 == 0 for _, time in seen)


# the same world again


def test_a_later_start_extends_the_same_world(tmp_path: Path) -> None:
    first = build_source(small(tmp_path), START_MS)
    first.source.advance(START_MS + 600_000)
    again = build_source(small(tmp_path), START_MS + 600_000)
    assert again.about["epoch_ms"] == START_MS
    assert again.source.now_ms == START_MS + 600_000
    assert list(again.source.recent_trades("BTC", 30)) == list(first.source.recent_trades("BTC", 30))


def test_what_was_put_into_the_world_is_part_of_it(tmp_path: Path) -> None:
    first = build_source(small(tmp_path), START_MS)
    assert first.world is not None
    first.world.world.mark_ready(START_MS)
    first.world.world.inject_event("info", "ETH", -1, 3.0, START_MS)
    first.world.remember()
    first.source.advance(START_MS + 900_000)
    again = build_source(small(tmp_path), START_MS + 900_000)
    untouched = build_source(small(tmp_path / "other"), START_MS)
    untouched.source.advance(START_MS + 900_000)
    assert list(again.source.recent_trades("ETH", 30)) == list(first.source.recent_trades("ETH", 30))
    assert list(untouched.source.recent_trades("ETH", 30)) != list(first.source.recent_trades("ETH", 30))


def test_another_world_needs_another_folder(tmp_path: Path) -> None:
    build_source(small(tmp_path), START_MS)
    with pytest.raises(WorldMismatch, match="seed is 4; allowed is 3"):
        build_source(replace(small(tmp_path), plan=replace(PLAN, seed=4)), START_MS)


def test_a_world_made_by_other_laws_is_refused(tmp_path: Path) -> None:
    build_source(small(tmp_path), START_MS)
    file = tmp_path / FILE_NAME
    file.write_text(file.read_text().replace('"laws": 2', '"laws": 1'))
    with pytest.raises(WorldMismatch, match=r"laws is 1 in .*; allowed is 2: .* `sigmapilot reset`"):
        build_source(small(tmp_path), START_MS)


async def test_readiness_and_events_are_told_to_the_world_and_kept(tmp_path: Path) -> None:
    async with world(build_source(small(tmp_path), START_MS)) as client:
        assert (await client.post("/emulator/ready", {}))[0] == 200
        status, _ = await client.post("/emulator/event", {"coin": "SOL", "direction": "short", "sigmas": 2.5})
        assert status == 200
        kept = json.loads((tmp_path / FILE_NAME).read_text())["inputs"]
        assert [(i["kind"], i["coin"], i["direction"]) for i in kept] == [("ready", "", 0), ("info", "SOL", -1)]
        for wrong in ({"coin": "NOPE"}, {"coin": "SOL", "direction": "up"}, {"coin": "SOL", "sigmas": "big"}):
            status, text = await client.post("/emulator/event", wrong)
            assert (status, "allowed is" in text) == (400, True)


async def test_a_script_takes_no_events() -> None:
    async with serve_script() as client:
        assert (await client.post("/emulator/event", {"coin": "BTC"}))[0] == 409


async def test_the_leaderboard_of_a_past_day_can_be_asked_for(tmp_path: Path) -> None:
    async with world(build_source(small(tmp_path), START_MS)) as client:
        url = f"{client.url}/Mainnet/leaderboard"
        async with client.http.get(f"{url}?asOfMs={START_MS - 3_600_000}") as past, client.http.get(url) as now:
            assert (past.status, now.status) == (200, 200)
            assert await past.json() != await now.json()
        async with client.http.get(f"{url}?asOfMs=1") as never:
            assert never.status == 400


# declared disturbances


async def test_disturbances_begin_after_the_stream_is_ready(tmp_path: Path) -> None:
    late = Disturbance(1, 2, FaultOrder("freeze_books", coin="BTC"), "a test")
    async with serve_script() as client:
        client.emulator.open(client.emulator.parts().venue.source, None, (late,))
        await client.advance(3_000)
        assert client.emulator.status()["faults"] == []
        await client.post("/emulator/ready", {})
        await client.advance(900)
        assert client.emulator.status()["disturbances"] != []
        await client.advance(100)
        status = client.emulator.status()
        assert ([f["name"] for f in status["faults"]], status["disturbances"]) == (["freeze_books"], [])
        await client.advance(2_000)
        assert client.emulator.status()["faults"] == []


def test_an_aimed_disturbance_waits_for_a_copied_leader_and_takes_his_coin() -> None:
    also = FaultOrder("http_503", request="clearinghouseState")
    plan = DisturbancePlan((Disturbance(1, 2, FaultOrder("delay_trades"), "a test", is_aimed=True, also=also),) * 2)
    assert plan.due(0, 900, "LINK") == []
    assert plan.due(0, 1_000, None) == []
    assert plan.due(0, 5_000, "LINK") == [
        FaultOrder("delay_trades", coin="LINK", until_ms=7_000),
        FaultOrder("http_503", request="clearinghouseState", until_ms=7_000),
    ]
    assert len(plan.listed()) == 1  # one leader, one disturbance
    assert [order.coin for order in plan.due(0, 6_000, "HYPE")] == ["HYPE", None]
    assert plan.listed() == []


def test_the_demos_disturbances_are_of_the_catalogue_and_of_its_coins() -> None:
    coins = {coin.coin for coin in DEFAULT_COINS}
    for declared in disturbances.DEMO:
        assert declared.order.name in CATALOGUE
        assert declared.order.coin is None or declared.order.coin in coins
        assert declared.at_s + declared.seconds < 30 * 60


def test_only_the_demo_is_disturbed(tmp_path: Path) -> None:
    natural = replace(small(tmp_path / "n"), plan=replace(PLAN, profile=Profile.NATURAL))
    assert build_source(natural, START_MS).disturbances == ()
    assert build_source(small(tmp_path / "d"), START_MS).disturbances == disturbances.DEMO
    calm = replace(small(tmp_path / "c"), declared_disturbances=False)
    assert build_source(calm, START_MS).disturbances == ()


# options


def chosen(*arguments: str, **environment: str) -> Options:
    return options(arguments, load_settings(environ={"SIGMAPILOT_HOME": "/tmp/sp", **environment}))


def test_what_is_not_given_comes_from_the_settings() -> None:
    found = chosen(SIGMAPILOT_SEED="11", SIGMAPILOT_WORLD_DAYS="30", SIGMAPILOT_PORT_BASE="5100")
    assert found.plan == WorldPlan(11, 300, 30, Profile.DEMO)
    assert (found.config.port, found.state_dir) == (5110, Path("/tmp/sp/demo/world"))


def test_the_command_line_wins(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    found = chosen(
        *("--seed", "5", "--port", "0", "--profile", "natural", "--epoch-ms", str(START_MS)),
        *("--token-file", str(token), "--deposit", "0x" + "A" * 40 + "=100", "--fault", "http_429,request=meta"),
    )
    assert found.plan == WorldPlan(5, 300, 60, Profile.NATURAL, START_MS)
    assert (found.config.port, found.config.token) == (0, "secret")
    assert found.config.deposits == {"0x" + "a" * 40: 100}
    assert found.faults == (FaultOrder("http_429", request="meta"),)


def test_a_recording_mode_plays_its_recording(tmp_path: Path) -> None:
    environment = {"SIGMAPILOT_MODE": "recording:x", "SIGMAPILOT_RECORDING_DIR": str(tmp_path)}
    found = chosen(**environment, SIGMAPILOT_RECORDING_SPEED="0")
    assert found.plan == RecordingPlan(tmp_path, None)
    assert found.config.speed == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--fault", "earthquake"),
        ("--fault", "drop_tcp"),
        ("--fault", "drop_tcp,at_s=soon"),
        ("--fault", "drop_tcp,at_s=-1"),
        ("--fault", "http_429,meta"),
        ("--deposit", "me=1"),
        ("--deposit", "0x" + "a" * 40 + "=-1"),
        ("--speed", "-1"),
    ],
)
def test_wrong_options_are_named_with_what_is_allowed(wrong: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        chosen(*wrong)


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds 0 files \*.json; allowed is exactly one"):
        build_source(replace(small(tmp_path), plan=RecordingPlan(tmp_path, None)), START_MS)


def test_a_fault_can_be_ordered_for_later_on_the_command_line(tmp_path: Path) -> None:
    settings = load_settings({"SIGMAPILOT_HOME": str(tmp_path)}, environ={})
    faults = ["close_1012,at_s=60", "freeze_books,coin=ETH,at_s=5,seconds=30", "clock_skew,skew_s=-7"]
    found = options([word for fault in faults for word in ("--fault", fault)], settings)
    assert [(d.order.name, d.at_s, d.order.coin) for d in found.later] == [
        ("close_1012", 60, None),
        ("freeze_books", 5, "ETH"),
    ]
    assert found.later[1].seconds == 30
    assert [order.name for order in found.faults] == ["clock_skew"]
