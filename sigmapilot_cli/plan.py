"""What `sigmapilot up` starts, in order, as data. The only place that knows the command lines of all parts."""

from __future__ import annotations

import importlib.util
import re
import signal
import sys
from pathlib import Path

from pydantic import SecretStr

from sigmapilot_cli.abandoned_runs import settle_abandoned_runs
from sigmapilot_cli.dagster_home import CODE_SOCKET, WORKSPACE_FILE, write_dagster_home
from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.migration import prepare_databases
from sigmapilot_cli.supervisor.spec import CallReady, HttpReady, LogReady, ProcessSpec, SocketReady, Step
from sigmapilot_core.adapters.dagster_graphql import LOCATION
from sigmapilot_core.adapters.postgres.binaries import PLAIN_ENVIRONMENT
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.adapters.settings import Settings, child_environment

Plan = list[ProcessSpec | Step]
_MODULE = (sys.executable, "-m")


def full_plan(settings: Settings, token: SecretStr) -> Plan:
    """Every part of one mode: Postgres (unless external), databases, emulator (unless a real venue), stream (with its
    workers where there is a broker), API, Dagster's code server, daemon and webserver, status page."""
    plan: Plan = []
    if not settings.database_is_external:
        plan.append(postgres(settings))
    plan.append(Step("databases", lambda: prepare_databases(settings)))
    if settings.mode.emulated:
        plan.append(emulator(settings, token))
    deciding = [stream(settings, token), *workers(settings)]
    return [*plan, *deciding, api(settings, token), *dagster(settings), page(settings)]


def postgres(settings: Settings) -> ProcessSpec:
    """The embedded server. It is stopped fast (SIGINT), never smart: a client that stays must not hold up the end."""
    server = EmbeddedServer(settings.server_paths, copies=settings.home / "programs")
    return ProcessSpec(
        name="postgres",
        argv=server.argv,
        env=PLAIN_ENVIRONMENT,
        ready=CallReady(server.answers),
        required=True,
        stop_signal=signal.SIGINT,
        kill_signal=signal.SIGQUIT,
        death_signal=signal.SIGINT,
        before_start=server.prepare,
        spawn=server.accounts.server.spawn,
    )


def emulator(settings: Settings, token: SecretStr) -> ProcessSpec:
    """The venue on loopback; its history is computed before it answers."""
    port = settings.ports.emulator
    return ProcessSpec(
        name="emulator",
        argv=(*_MODULE, "sigmapilot_core.adapters.emulator"),
        env=child_environment(settings, api_token=token),
        cwd=settings.mode_dir,
        ready=HttpReady(f"http://127.0.0.1:{port}/healthz"),
        ports=(port,),
        required=True,
        start_timeout_s=300,
    )


def stream(settings: Settings, token: SecretStr) -> ProcessSpec:
    """Feed, votes, decisions, execution. It drains before it exits, which takes a moment.

    It needs the token only to tell an emulator that it listens.
    """
    port = settings.ports.stream_metrics
    return ProcessSpec(
        name="stream",
        argv=(*_MODULE, "sigmapilot_stream"),
        env=child_environment(settings, api_token=token if settings.mode.emulated else None),
        cwd=settings.mode_dir,
        ready=HttpReady(f"http://127.0.0.1:{port}/healthz"),
        ports=(port,),
        stop_timeout_s=30,
        awaited=False,
    )


def workers(settings: Settings) -> list[ProcessSpec]:
    """With a broker the stream only hears and executes, and these decide; none without."""
    if settings.broker_url is None:
        return []
    return [worker(settings, number) for number in range(1, settings.stream_workers + 1)]


def worker(settings: Settings, number: int) -> ProcessSpec:
    """One worker of the stream. It gives its partitions up before it exits."""
    port = settings.ports.worker_metrics(number)
    return ProcessSpec(
        name=f"worker-{number}",
        argv=(*_MODULE, "sigmapilot_stream", "worker", str(number)),
        env=child_environment(settings),
        cwd=settings.mode_dir,
        ready=HttpReady(f"http://127.0.0.1:{port}/healthz"),
        ports=(port,),
        stop_timeout_s=30,
        awaited=False,
        stop_group="workers",
    )


def api(settings: Settings, token: SecretStr) -> ProcessSpec:
    """The operators' API, one application on five ports."""
    ports = settings.ports.api
    return ProcessSpec(
        name="api",
        argv=(*_MODULE, "sigmapilot_ui.api"),
        env=child_environment(settings, api_token=token),
        cwd=settings.mode_dir,
        ready=HttpReady(f"http://127.0.0.1:{ports[0]}/healthz"),
        ports=ports,
        awaited=False,
    )


def dagster(settings: Settings) -> list[ProcessSpec]:
    """One code server that daemon and webserver share; a run is a process of the code server's group."""
    home, env = settings.dagster_home, child_environment(settings)
    socket, workspace = home / CODE_SOCKET, ("-w", str(home / WORKSPACE_FILE))

    def before_code() -> None:
        write_dagster_home(settings)
        settle_abandoned_runs(settings)
        socket.unlink(missing_ok=True)

    code = ProcessSpec(
        name="dagster-code",
        argv=(
            *(*_MODULE, "dagster", "api", "grpc", "--socket", str(socket)),
            *("--module-name", "sigmapilot_assets.definitions", "--location-name", LOCATION),
        ),
        env=env,
        cwd=home.parent,
        ready=SocketReady(socket),
        before_start=before_code,
        start_timeout_s=300,
        litter=(socket,),
    )
    daemon = ProcessSpec(
        name="dagster-daemon",
        argv=(*_MODULE, "dagster._daemon", "run", *workspace),
        env=env,
        cwd=home.parent,
        ready=LogReady(re.compile("configured with the following daemons")),
        awaited=False,
    )
    port = settings.ports.dagster
    webserver = ProcessSpec(
        name="dagster-webserver",
        argv=(*_MODULE, "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *workspace),
        env=env,
        cwd=home.parent,
        ready=HttpReady(f"http://127.0.0.1:{port}/server_info"),
        ports=(port,),
        awaited=False,
    )
    return [code, daemon, webserver]


def page(settings: Settings) -> ProcessSpec:
    """The status page."""
    package = importlib.util.find_spec("sigmapilot_ui")
    if package is None or package.origin is None:
        raise CommandError("the package sigmapilot_ui is not installed.")
    port = settings.ports.page
    return ProcessSpec(
        name="page",
        argv=(
            *(*_MODULE, "streamlit", "run", str(Path(package.origin).parent / "status_page" / "app.py")),
            *("--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"),
            *("--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false"),
        ),
        env=child_environment(settings),
        cwd=settings.mode_dir,
        ready=HttpReady(f"http://127.0.0.1:{port}/_stcore/health"),
        ports=(port,),
    )


def processes(plan: Plan) -> list[ProcessSpec]:
    """The plan without its steps."""
    return [item for item in plan if isinstance(item, ProcessSpec)]
