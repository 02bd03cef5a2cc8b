"""A demo started as a person would start it, and the ways a person looks at it: commands, SQL, HTTP, processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

T = TypeVar("T")
_BIN = Path(sys.executable).parent
_OFFSETS = (0, 1, 2, 3, 4, 10, 20, 30, 31)
FIRST_BASE, LAST_BASE = 22_200, 31_000


def free_base() -> int:
    """A port base all of whose ports are free, below those that the system hands out to connections."""
    for base in range(FIRST_BASE + os.getpid() % 200 * 40, LAST_BASE, 40):
        if all(_is_free(base + offset) for offset in _OFFSETS):
            return base
    raise AssertionError("no free port base")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def until(what: str, ask: Callable[[], T], within_s: float = 60.0, every_s: float = 0.25) -> T:
    """The first answer that is true; fails with what was waited for and the last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what} (last answer: {answer!r})"
        time.sleep(every_s)
    return answer


class Demo:
    """One `sigmapilot up --mode demo` in a home folder of its own."""

    def __init__(self, home: Path, base: int) -> None:
        self.home = home
        self.base = base
        self.environment = clean_environment(home)
        self.process: subprocess.Popen[str] | None = None
        self.said = home / "up.txt"
        self._database_url = ""

    # starting and ending

    def start(self) -> None:
        """Start it and wait until it says that it is up."""
        self.launch("up", "--mode", "demo")
        until("`sigmapilot up` says it is up", self._is_up, 240)
        assert "degraded" not in self._lines()[-1], self.said.read_text()

    def launch(self, *words: str) -> None:
        """Start a command that stays; what it says goes to a file."""
        with self.said.open("a") as out:
            out.write("---\n")
            out.flush()
            self.process = subprocess.Popen(
                [str(_BIN / "sigmapilot"), *words, "--port-base", str(self.base)],
                env=self.environment, cwd=self.home, stdout=out, stderr=out, text=True, start_new_session=True,
            )  # fmt: skip

    def _lines(self) -> list[str]:
        return self.said.read_text().split("---\n")[-1].splitlines()

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said.read_text()
        return any("SigmaPilot is up" in line for line in self._lines())

    def interrupt(self) -> int:
        """Ctrl-C: the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)

    def destroy(self) -> None:
        """Whatever happened before: end it and everything it started."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.interrupt()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        until("no process is left", lambda: self.leftovers() == [], 30)

    def leftovers(self) -> list[list[str]]:
        """Command lines of living processes that belong to this home folder, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and str(self.home) in _description(process):
                    found.append(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    # looking at it

    def sigmapilot(self, *words: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line."""
        return subprocess.run(
            [str(_BIN / "sigmapilot"), *words],
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def shell(self, line: str, **environment: str) -> str:
        """Output of a line typed into a shell; fails unless it ends with 0."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (
            f"{line}\nended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        )
        return done.stdout

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query, through psql and the URL that `sigmapilot db url` prints."""
        if not self._database_url:
            self._database_url = self.sigmapilot("db", "url").stdout.strip()
        done = subprocess.run(
            ["psql", self._database_url, "-At", "-F", "\t", "-c", query],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def number(self, query: str) -> int:
        return int(self.sql(query)[0][0])

    def number_if_it_answers(self, query: str) -> int:
        """The same while the server may be away: -1 then."""
        try:
            return self.number(query)
        except (AssertionError, subprocess.TimeoutExpired):
            return -1

    @property
    def token(self) -> str:
        return (self.home / "demo" / "api_token").read_text().strip()

    def api(self, method: str, path: str, *, port: int = 0, token: str | None = None) -> httpx.Response:
        """Ask the API on one of its ports."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.base + port}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, trust_env=False)

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask Dagster."""
        url = f"http://127.0.0.1:{self.base + 30}/graphql"
        answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=30, trust_env=False).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def emulator(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask the exchange, or change something in it."""
        url = f"http://127.0.0.1:{self.base + 10}{path}"
        if body is None:
            return httpx.get(url, timeout=10, trust_env=False).json()
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.post(url, json=dict(body), headers=headers, timeout=10, trust_env=False).raise_for_status().json()

    def parts(self) -> dict[str, dict[str, Any]]:
        """What `sigmapilot status` is made of, by name."""
        found = json.loads((self.home / "demo" / "up.json").read_text())["parts"]
        return {part["name"]: part for part in found}

    def tree(self) -> list[psutil.Process]:
        """`up` and every process below it."""
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def log(self, part: str) -> str:
        return (self.home / "demo" / "logs" / f"{part}.log").read_text(errors="replace")


def clean_environment(home: Path) -> dict[str, str]:
    """What a fresh login has, with our programs first; nothing of the tests' own settings."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PYTHONPATH", "USER") if name in os.environ}
    return {**kept, "PATH": f"{_BIN}:/usr/local/bin:/usr/bin:/bin", "SIGMAPILOT_HOME": str(home)}


def _description(process: psutil.Process) -> str:
    """Command line, folder and home folder of a process: one of them names the demo it belongs to."""
    return f"{process.cmdline()} {process.cwd()} {process.environ().get('SIGMAPILOT_HOME')}"
