"""What a demo does once every part is up: wait for the stream, learn, wait for the first executed paper signal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import sqlalchemy as sa

from sigmapilot_cli.demo_summary import summary
from sigmapilot_cli.errors import EXIT_FAILED, CommandError
from sigmapilot_core.adapters.dagster_graphql import (
    DagsterGraphql,
    DagsterRefusedError,
    DagsterUnavailableError,
    JobRun,
)
from sigmapilot_core.adapters.postgres import progress_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema.stream import (
    consensus_signals,
    decision_logs,
    execution_logs,
    stream_status,
)
from sigmapilot_core.adapters.settings import Settings

LEARN_JOB = "materialise_all"


@dataclass(frozen=True, slots=True)
class ExecutedSignal:
    """The first decision that became a paper fill."""

    symbol: str
    direction: str
    eff_k: float
    p_win: float
    ev_net_r: float
    fill_price: float

    def __str__(self) -> str:
        return (
            f"signal: {self.direction} {self.symbol}, effective K {self.eff_k:.2f}, probability {self.p_win:.2f}, "
            f"expected {self.ev_net_r:+.2f} R after costs, paper fill at {self.fill_price:g}"
        )


class DemoJourney:
    """What a demo does once every part is up: wait for the stream, learn, wait for a signal."""

    def __init__(self, settings: Settings, say: Callable[[str], None], poll_s: float = 1.0) -> None:
        self._settings = settings
        self._say = say
        self._poll_s = poll_s
        self._started = datetime.now(UTC)
        self._dagster = DagsterGraphql(f"http://127.0.0.1:{settings.ports.dagster}")

    async def stay(self) -> int:
        """The same as `until_signal`, and then on until the terminal says stop; ends with a summary."""
        code = await self.until_signal()
        self._say("the demo goes on until Ctrl-C, which ends it with a summary")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        self._summarise(self._started)
        return code

    async def until_end(self) -> int:
        """Learn, let the recording play to its end, and sum up; 1 with a reason when nothing was decided."""
        engine = create_engine(self._settings.database_url.get_secret_value(), pool_size=1)
        try:
            await self._stream_ready()
            if not await self._learn():
                return EXIT_FAILED
            self._say("the recording plays")
            while not await asyncio.to_thread(_has_ended, engine):
                await asyncio.sleep(self._poll_s)
            self._say("the recording has ended")
            self._summarise(datetime.fromtimestamp(0, UTC))
            return 0 if await asyncio.to_thread(_decision_count, engine) else EXIT_FAILED
        finally:
            engine.dispose()

    def _summarise(self, since: datetime) -> None:
        engine = create_engine(self._settings.database_url.get_secret_value(), pool_size=1)
        try:
            with engine.connect() as connection:
                for line in summary(connection, since):
                    self._say(line)
        finally:
            engine.dispose()

    async def until_signal(self) -> int:
        """Exit code 0 with the first executed signal, 1 with a reason."""
        engine = create_engine(self._settings.database_url.get_secret_value(), pool_size=1)
        try:
            newest_order = await asyncio.to_thread(_newest_order, engine)
            await self._stream_ready()
            if not await self._learn():
                return EXIT_FAILED
            self._say(f"watching for a signal; status page: http://127.0.0.1:{self._settings.ports.page}")
            while (signal := await asyncio.to_thread(_executed_signal, engine, newest_order)) is None:
                await asyncio.sleep(self._poll_s)
            self._say(str(signal))
            self._say(
                f"look at it: http://127.0.0.1:{self._settings.ports.page} (status page), "
                f"http://127.0.0.1:{self._settings.ports.api[4]}/consensus/signals (API), "
                f"http://127.0.0.1:{self._settings.ports.dagster} (Dagster)"
            )
            return 0
        finally:
            engine.dispose()

    async def _stream_ready(self) -> None:
        """Until the API sees the stream's heartbeat. The API itself is not ready before there is a model snapshot."""
        self._say("waiting for the stream")
        url = f"http://127.0.0.1:{self._settings.ports.api[0]}/readyz"
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError, ValueError):
                    checks = (await client.get(url)).json()["checks"]
                    if any(check["name"] == "stream" and check["passed"] is True for check in checks):
                        return
                await asyncio.sleep(self._poll_s)

    async def _learn(self) -> bool:
        """Materialise the graph once, so that there is a pool to vote; False with a reason if the run fails."""
        run_id = await self._launch()
        self._say(f"learning: Dagster run {run_id}")
        engine = create_engine(self._settings.database_url.get_secret_value(), pool_size=1)
        try:
            return await self._until_learnt(run_id, engine)
        finally:
            engine.dispose()

    async def _until_learnt(self, run_id: str, engine: sa.Engine) -> bool:
        shown, fetched = -1.0, -1.0
        while True:
            fetched = await asyncio.to_thread(self._tell_fetched, engine, run_id, fetched)
            run = await asyncio.to_thread(self._newest_run)
            if run is not None and run.run_id == run_id:
                if run.percent is not None and run.percent >= shown + 10:
                    shown = run.percent
                    self._say(f"learning: {shown:.0f} %")
                if not run.is_active:
                    return self._judge(run)
            await asyncio.sleep(self._poll_s)

    def _tell_fetched(self, engine: sa.Engine, run_id: str, told: float) -> float:
        """Say how many histories are fetched, at most every ten percent; returns the percentage said last."""
        with engine.connect() as connection:
            progress = progress_store.read(connection, progress_store.HISTORIES)
        if progress is None or progress.run_id != run_id or progress.percent == told:
            return told
        if progress.percent < 100 and progress.percent < told + 10:
            return told
        self._say(str(progress))
        return progress.percent

    def _judge(self, run: JobRun) -> bool:
        if run.status == "SUCCESS":
            return True
        failed = ", ".join(step.key for step in run.steps if step.status == "FAILURE") or "no step"
        self._say(f"learning failed: run {run.run_id} ended as {run.status}; failed: {failed}")
        return False

    async def _launch(self) -> str:
        """The webserver answers before it knows the code server's jobs, hence the patience."""
        while True:
            try:
                return await asyncio.to_thread(self._dagster.launch, LEARN_JOB, {}, {"source": "demo"})
            except DagsterUnavailableError:
                await asyncio.sleep(self._poll_s)
            except DagsterRefusedError as error:
                raise CommandError(f"{error}.") from error

    def _newest_run(self) -> JobRun | None:
        try:
            return self._dagster.newest_run(LEARN_JOB)
        except DagsterUnavailableError:  # busy; asked again in a moment
            return None


def _has_ended(engine: sa.Engine) -> bool:
    """Whether the stream has decided on everything up to the recording's last frame."""
    query = sa.select(stream_status.c.value).where(stream_status.c.key == "ended")
    with engine.connect() as connection:
        found = connection.execute(query).scalar()
    return bool(found and found["value"])


def _decision_count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(decision_logs)).scalar_one()


def _newest_order(engine: sa.Engine) -> int:
    """Orders up to this one belong to an earlier run of the demo."""
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.coalesce(sa.func.max(execution_logs.c.id), 0))).scalar_one()


def _executed_signal(engine: sa.Engine, after_order: int) -> ExecutedSignal | None:
    signals, orders = consensus_signals.c, execution_logs.c
    query = (
        sa.select(signals.symbol, signals.direction, signals.eff_k, signals.p_win, signals.ev_net_r, orders.fill_price)
        .join_from(execution_logs, consensus_signals, orders.decision_id == signals.id)
        .where(orders.id > after_order, orders.leg == "entry", orders.fill_price.is_not(None))
        .order_by(orders.id)
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    return ExecutedSignal(*row) if row else None
