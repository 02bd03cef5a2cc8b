"""The supervisor, with small real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fake_parts import FAST, alive_with, fake_part, free_port

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.supervisor.part import PartState
from sigmapilot_cli.supervisor.spec import Pace, ProcessSpec, Step
from sigmapilot_cli.supervisor.supervise import Supervisor


class Scene:
    """A supervisor over fake parts; `lines` is what it says, `story` what the parts experience."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.story = folder / "story"
        self.lines: list[str] = []

    def part(self, name: str, behaviour: str = "", **more: object) -> ProcessSpec:
        return fake_part(name, self.story, behaviour, **more)  # type: ignore[arg-type]

    def supervisor(self, *plan: ProcessSpec | Step) -> Supervisor:
        self.running = Supervisor(plan, self.folder / "logs", self.folder / "up.json", self.lines.append, pace=FAST)
        return self.running

    async def until(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not claim():
                await asyncio.sleep(0.01)

    def told(self) -> list[str]:
        return self.story.read_text().splitlines() if self.story.exists() else []

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def pid(self, name: str) -> int:
        found = alive_with(str(self.story))
        return next(pid for pid in found if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def work(act: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[int]]:
    async def run() -> int:
        await act()
        return 0

    return run


async def nothing() -> int:
    return 0


async def test_parts_start_in_order_when_ready_and_stop_in_reverse(scene: Scene) -> None:
    port = free_port()
    before_two: list[str] = []
    step = Step("between", lambda: before_two.extend(scene.told()))
    await scene.supervisor(scene.part("one", port=port), step, scene.part("two"), scene.part("three")).run(nothing)
    assert scene.told() == ["start one", "start two", "start three", "stop three", "stop two", "stop one"]
    assert before_two == ["start one"]
    assert alive_with(str(scene.story)) == []


async def test_neighbours_of_a_stop_group_are_stopped_at_once_behind_what_follows_and_before_what_precedes(
    scene: Scene,
) -> None:
    one, four = scene.part("one"), scene.part("four")
    two, three = (scene.part(name, stop_group="workers") for name in ("two", "three"))
    asked: list[str] = []
    supervisor = scene.supervisor(one, two, three, four)

    async def act() -> None:
        for part in supervisor._parts:
            stop = part.stop

            def noted(name: str = part.spec.name, stop: Callable[[], None] = stop) -> None:
                asked.append(f"{name} beside {len(alive_with(str(scene.story)))}")
                stop()

            part.stop = noted  # type: ignore[method-assign]

    assert await supervisor.run(work(act)) == 0
    assert asked == ["four beside 4", "three beside 3", "two beside 3", "one beside 1"]


async def test_exit_code_is_that_of_the_work(scene: Scene) -> None:
    async def three() -> int:
        return 3

    assert await scene.supervisor(scene.part("one")).run(three) == 3


async def test_a_killed_part_is_started_again(scene: Scene) -> None:
    async def act() -> None:
        os.kill(scene.pid("one"), signal.SIGKILL)
        await scene.until(lambda: scene.told().count("start one") == 2)

    await scene.supervisor(scene.part("one")).run(work(act))
    assert scene.said("one ended by SIGKILL; next start in 0.02 s (failure 1)")


async def test_work_that_takes_too_long_ends_with_3_and_everything_stopped(scene: Scene) -> None:
    async def act() -> None:
        await asyncio.Event().wait()

    assert await scene.supervisor(scene.part("one")).run(work(act), timeout_s=0.5) == 3
    assert scene.said("not done within 0.5 s")
    assert scene.told() == ["start one", "stop one"]


async def test_interrupted_work_ends_with_1_unless_it_says_otherwise(scene: Scene) -> None:
    async def act() -> None:
        scene.running.request_stop()
        await asyncio.Event().wait()

    async def calm() -> int:
        try:
            await act()
        except asyncio.CancelledError:
            return 0
        return 1

    assert await scene.supervisor(scene.part("one")).run(work(act)) == 1
    assert await scene.supervisor(scene.part("one")).run(calm) == 0


def test_pauses_double_from_1_to_30_seconds() -> None:
    assert [Pace().pause_s(failures) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


async def test_a_part_is_degraded_after_five_failures_and_the_rest_goes_on(scene: Scene) -> None:
    await scene.supervisor(scene.part("bad", "failing"), scene.part("good")).run(nothing)
    assert scene.said("bad degraded: ended with status 3 (5 failures)")
    assert scene.said("good ready")


async def test_what_nobody_waits_for_does_not_hold_up_the_rest(scene: Scene) -> None:
    slow = scene.part("slow", "failing", awaited=False)
    await scene.supervisor(slow, scene.part("next")).run(nothing)
    assert [line.split(" ")[0] for line in scene.lines if " ready" in line or " degraded" in line] == ["next", "slow"]


async def test_a_required_part_that_fails_ends_the_start_with_its_last_words(scene: Scene) -> None:
    plan = scene.part("first"), scene.part("bad", "failing", required=True), scene.part("never")
    with pytest.raises(CommandError, match=r"bad does not start: ended with status 3; it last said: no luck today"):
        await scene.supervisor(*plan).run(nothing)
    assert scene.told()[-1] == "stop first"
    assert "start never" not in scene.told()


async def test_a_failing_step_stops_what_has_started(scene: Scene) -> None:
    def refuse() -> None:
        raise CommandError("wrong database.")

    with pytest.raises(CommandError, match="wrong database"):
        await scene.supervisor(scene.part("one"), Step("databases", refuse)).run(nothing)
    assert scene.told() == ["start one", "stop one"]


async def test_a_program_that_does_not_exist_is_a_failure_like_any_other(scene: Scene) -> None:
    spec = ProcessSpec("ghost", ("/nonexistent/program",), scene.part("x").ready, required=True)
    with pytest.raises(CommandError, match=r"ghost does not start: cannot start: .*No such file"):
        await scene.supervisor(spec).run(nothing)


async def test_a_part_that_stops_answering_is_started_again(scene: Scene) -> None:
    port = free_port()

    async def act() -> None:
        await scene.until(lambda: scene.told().count("start one") == 2)

    await scene.supervisor(scene.part("one", "deaf", port=port, hang_s=0.2)).run(work(act))
    assert scene.said("one does not answer")
    assert scene.said("one no answer for 0.2 s")


async def test_a_part_that_never_gets_ready_is_given_up_in_time(scene: Scene) -> None:
    silent = ProcessSpec("silent", ("/bin/sleep", "600"), scene.part("x").ready, required=True, start_timeout_s=0.05)
    with pytest.raises(CommandError, match=r"silent does not start: not ready within 0\.05 s"):
        await scene.supervisor(silent).run(nothing)


async def test_a_part_that_ignores_the_stop_is_killed_after_its_time(scene: Scene) -> None:
    await scene.supervisor(scene.part("one", "stubborn", stop_timeout_s=0.1)).run(nothing)
    assert alive_with(str(scene.story)) == []


async def test_what_a_killed_part_leaves_behind_goes_with_it(scene: Scene) -> None:
    left = scene.folder / "left.sock"
    spec = scene.part("one", "stubborn", stop_timeout_s=0.1, litter=(left,), before_start=left.touch)
    await scene.supervisor(spec).run(nothing)
    assert alive_with(str(scene.story)) == []
    assert not left.exists()


async def test_a_second_request_stops_at_once(scene: Scene) -> None:
    async def act() -> None:
        scene.running.request_stop()
        asyncio.get_running_loop().call_soon(scene.running.request_stop)
        await asyncio.Event().wait()

    async with asyncio.timeout(10):  # the part alone would take 600 s
        await scene.supervisor(scene.part("one", "stubborn", stop_timeout_s=600)).run(work(act))
    assert scene.said("stopping at once")


async def test_what_a_part_started_goes_with_it(scene: Scene) -> None:
    await scene.supervisor(scene.part("one", "parent")).run(nothing)
    await scene.until(lambda: alive_with(str(scene.story)) == [])


async def test_a_stop_during_the_start_starts_nothing_more(scene: Scene) -> None:
    stop = Step("interrupted", lambda: scene.running.request_stop())
    assert await scene.supervisor(scene.part("one"), stop, scene.part("two")).run(nothing) == 0
    assert scene.told() == ["start one", "stop one"]


async def test_state_is_written_while_running_and_removed_after(scene: Scene) -> None:
    async def act() -> None:
        text = (scene.folder / "up.json").read_text()
        assert f'"state": "{PartState.READY}"' in text
        assert str(scene.pid("one")) in text

    await scene.supervisor(scene.part("one")).run(work(act))
    assert not (scene.folder / "up.json").exists()


async def test_a_guard_that_was_killed_is_replaced(scene: Scene) -> None:
    def kill_guard() -> None:
        guards = alive_with("supervisor/guard.py")
        mine = [pid for pid in guards if os.getpid() == int(Path(f"/proc/{pid}/stat").read_text().split()[3])]
        for pid in mine:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    await scene.supervisor(scene.part("one"), Step("kill guard", kill_guard), scene.part("two")).run(nothing)
    assert scene.told()[-2:] == ["stop two", "stop one"]
