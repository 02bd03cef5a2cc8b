"""A log file that is rotated by its writer: `name.log`, `name.log.1`, ..., oldest dropped."""

from __future__ import annotations

from pathlib import Path


class RotatingLog:
    """Appends bytes; when `max_bytes` are exceeded the file becomes `.1` and a new one begins."""

    def __init__(self, path: Path, max_bytes: int = 10_000_000, keep: int = 5) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        if self._file.tell() + len(chunk) > self._max_bytes and self._file.tell() > 0:
            self._rotate()
        self._file.write(chunk)

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._keep, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log file, fewer if it has fewer; none if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 65_536 - 200 * count))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
