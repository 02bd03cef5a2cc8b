"""The Faust application in local transport: bounded channels in one process, no broker, no web server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import faust
from faust.app.base import BootStrategy

# never dialled: the boot strategy starts no transport, but Faust wants a URL
_UNUSED_BROKER = "kafka://127.0.0.1:9"


class LocalBoot(BootStrategy):
    """Starts agents and nothing that needs a broker or a port."""

    enable_kafka = False
    enable_web = False


def local_app(data_dir: Path) -> faust.App:
    """An application whose agents read channels of this process."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        "sigmapilot",
        broker=_UNUSED_BROKER,
        web_enabled=False,
        datadir=str(data_dir),
        stream_buffer_maxsize=64,
    )
    app.boot_strategy = LocalBoot(app, enable_web=False, enable_kafka=False)
    return app


def local_channel(app: faust.App, size: int) -> Any:
    """A bounded channel: a slow consumer makes the sender wait."""
    return app.channel(maxsize=size)


def local_agent(
    app: faust.App,
    channel: Any,
    name: str,
    consume: Callable[[Any], Awaitable[None]],
    on_failure: Callable[[Any, BaseException], Awaitable[None]],
) -> None:
    """An agent that reads a channel; `on_failure` is told of its exception before Faust would start it again.

    Made as the decorator `app.agent` makes it, but for what that keeps for a scan of packages that we never ask for: to
    find where it was called from, it looks at every module of the process, a twelfth of what a start takes.
    """
    agent: Any = faust.Agent(
        consume, app=app, name=name, channel=channel, on_error=on_failure, help=consume.__doc__ or "",
    )  # fmt: skip
    app.agents[agent.name] = agent
    app.topics.beacon.add(agent)


async def start(app: faust.App) -> None:
    """Start the agents. Streams wait until flow is resumed, which Kafka would do at the first assignment."""
    await app.start()
    app.flow_control.resume()


async def stop(app: faust.App) -> None:
    """Stop the agents, and close the event loop that Faust made for the thread of a consumer it never started."""
    await app.stop()
    thread: Any = getattr(app.consumer, "_thread", None)
    if thread is not None:
        thread.thread_loop.close()
