"""The supervisor's end of the guard's pipe."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import IO

from sigmapilot_cli.supervisor import guard


class GuardLink:
    """Tells the guard which process groups run; starts a new guard should someone have ended the old one."""

    def __init__(self) -> None:
        self._groups: dict[int, int] = {}
        self._process = self._start()

    def add(self, group: int, how: int) -> None:
        """From now on end this group with signal `how` when we are gone."""
        self._groups[group] = how
        self._tell(f"+{group} {how}\n")

    def remove(self, group: int) -> None:
        """The group is gone."""
        self._groups.pop(group, None)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Dismiss the guard; it ends what is still on its list."""
        with contextlib.suppress(BrokenPipeError):  # it was ended before us
            self._pipe.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _pipe(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(guard.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={},
            text=True,
            start_new_session=True,
        )

    def _tell(self, line: str) -> None:
        try:
            self._pipe.write(line)
            self._pipe.flush()
        except BrokenPipeError:
            self.close()
            self._process = self._start()
            for group, how in self._groups.items():
                self._pipe.write(f"+{group} {how}\n")
            self._pipe.flush()
