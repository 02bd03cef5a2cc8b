"""A start is mostly imports: what a process of the stream has no use for is not among them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from sigmapilot_stream import app as faust_app

IMPORTS = """
import sys
from sigmapilot_core.adapters.settings import load_settings
from sigmapilot_stream import program
for arguments in {parts!r}:
    program.part_of(load_settings({settings!r}, environ={{}}), arguments).work.close()
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
NEVER = {
    "alembic", "dagster", "dask", "dbt", "fastapi", "matplotlib", "pandas", "polars", "pyarrow", "pytest", "scipy",
    "starlette", "streamlit", "uvicorn", "sigmapilot_assets", "sigmapilot_cli", "sigmapilot_ui",
}  # fmt: skip
BROKER = {"SIGMAPILOT_BROKER_URL": "kafka://b:9092"}


def imported(settings: dict[str, str], *parts: tuple[str, ...]) -> set[str]:
    """Packages of a process that is about to become one or another part of the stream."""
    script = IMPORTS.format(settings=settings, parts=parts)
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_with_a_broker_nothing_of_assets_and_pages_is_imported() -> None:
    found = imported(BROKER, (), ("worker", "1"))
    assert "aiokafka" in found
    assert found & NEVER == set()


def test_without_a_broker_nothing_of_kafka_is_imported_either() -> None:
    assert imported({}, ()) & {*NEVER, "aiokafka"} == set()


PREDICTED = """
import asyncio, sys
from sigmapilot_stream.readied import ready_to_decide
assert "scipy" not in sys.modules
async def meanwhile():
    waiting = asyncio.create_task(ready_to_decide())
    while "scipy.special" not in sys.modules:
        await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()
asyncio.run(asyncio.wait_for(meanwhile(), 60))
"""


def test_what_the_first_decision_needs_is_imported_beside_everything_else() -> None:
    subprocess.run([sys.executable, "-c", PREDICTED], check=True)


async def test_an_agent_that_fails_is_told_of_by_name(tmp_path: Path) -> None:
    app = faust_app.local_app(tmp_path / "faust")
    channel = faust_app.local_channel(app, 1)
    failed: asyncio.Future[tuple[str, BaseException]] = asyncio.get_running_loop().create_future()

    async def consume(stream: Any) -> None:
        async for value in stream:
            raise LookupError(value)

    async def on_failure(agent: Any, error: BaseException) -> None:
        if not failed.done():
            failed.set_result((agent.name, error))

    faust_app.local_agent(app, channel, "decide", consume, on_failure)
    assert list(app.agents) == ["decide"]
    await faust_app.start(app)
    await channel.send(value="gone")
    name, error = await asyncio.wait_for(failed, 10)
    await faust_app.stop(app)
    assert (name, type(error)) == ("decide", LookupError)
