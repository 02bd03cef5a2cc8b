"""Fixtures of the command line: commands as a shell would run them, and a small system in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_parts import System

from sigmapilot_cli.main import app

Answer = tuple[int, str, str]
Command = Callable[..., Answer]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `sigmapilot` with these words; returns exit code, stdout, stderr. `home` moves it to another folder."""

    def run(*words: str, home: Path | None = None) -> Answer:
        monkeypatch.setenv("SIGMAPILOT_HOME", str(home or tmp_path))
        monkeypatch.setattr("sys.argv", ["sigmapilot", *words])
        with pytest.raises(SystemExit) as ended:
            app()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def _homes() -> Iterator[Path]:
    # not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
    folder = Path(tempfile.mkdtemp(prefix="sp-home-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def system(_homes: Path) -> System:
    """A fake system of the test's own, not yet running."""
    return System(Path(tempfile.mkdtemp(dir=_homes)))


@pytest.fixture(scope="session")
def steady(_homes: Path) -> Iterator[System]:
    """One running fake system for all tests that only look at it."""
    made = System(Path(tempfile.mkdtemp(dir=_homes)))
    with made.running():
        yield made
