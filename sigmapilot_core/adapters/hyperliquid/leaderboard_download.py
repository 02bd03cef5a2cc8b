"""Fetching the leaderboard file: streamed to disk, bounded in size and time, exchanged only once it reads well."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson

from sigmapilot_core.adapters.hyperliquid.errors import LeaderboardError
from sigmapilot_core.adapters.hyperliquid.leaderboard import Leaderboard, parse_leaderboard, refused
from sigmapilot_core.adapters.hyperliquid.rest import is_loopback

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class DownloadParams:
    """Where the file is, where the last good copy is kept, and how much we are willing to take."""

    url: str
    folder: Path
    max_bytes: int = 100 * 1024 * 1024
    max_seconds: float = 300.0
    read_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class FetchedLeaderboard:
    """The rows in force. `changed` is False where the venue still serves the copy we had."""

    board: Leaderboard
    sha256: str
    changed: bool


@dataclass(frozen=True, slots=True)
class _Marks:
    """What identifies the copy we hold."""

    sha256: str = ""
    etag: str = ""


class LeaderboardDownload:
    """Downloads the file and keeps the last good copy. `now` is a clock in seconds that never jumps."""

    def __init__(
        self, params: DownloadParams, now: Callable[[], float], transport: httpx.BaseTransport | None = None
    ) -> None:
        self._params = params
        self._now = now
        self._transport = transport
        self._copy = params.folder / "leaderboard.json"
        self._marks = params.folder / "leaderboard.marks.json"

    def last_good(self) -> FetchedLeaderboard | None:
        """The copy in force; None before the first success. LeaderboardError if it was damaged on the disk."""
        if not self._copy.exists():
            return None
        with self._copy.open("rb") as stream:
            return FetchedLeaderboard(parse_leaderboard(stream), self._read_marks().sha256, changed=False)

    def fetch(self) -> FetchedLeaderboard:
        """Download, read, and only then exchange the copy. Raises `LeaderboardError` with one clear sentence."""
        self._params.folder.mkdir(parents=True, exist_ok=True)
        temporary = self._copy.with_suffix(".tmp")
        try:
            marks = self._download(temporary)
            if marks is None or marks.sha256 == self._read_marks().sha256:
                held = self.last_good()
                if held is None:
                    raise LeaderboardError("The venue says the leaderboard is unchanged, but no copy is held.")
                return held
            with temporary.open("rb") as stream:
                board = parse_leaderboard(stream)
            temporary.replace(self._copy)
            self._write_marks(marks)
            return FetchedLeaderboard(board, marks.sha256, changed=True)
        finally:
            temporary.unlink(missing_ok=True)

    def _download(self, target: Path) -> _Marks | None:
        """Stream into `target`; None for 304, which means that our copy is current."""
        params, held = self._params, self._read_marks()
        headers = {"If-None-Match": held.etag} if held.etag and self._copy.exists() else {}
        timeout = httpx.Timeout(params.read_timeout_s)
        options = {"timeout": timeout, "transport": self._transport, "trust_env": not is_loopback(params.url)}
        try:
            with (
                httpx.Client(**options) as client,  # type: ignore[arg-type]
                client.stream("GET", params.url, headers=headers) as response,
            ):
                if response.status_code == 304:
                    return None
                if response.status_code != 200:
                    raise refused(f"The leaderboard was answered {response.status_code}")
                return _Marks(self._save(response, target), response.headers.get("ETag", ""))
        except httpx.HTTPError as fault:
            raise refused(f"The leaderboard download broke off ({type(fault).__name__})") from fault
        except OSError as fault:
            raise refused(f"The leaderboard was not stored ({fault.strerror})") from fault

    def _save(self, response: httpx.Response, target: Path) -> str:
        digest, size, begin = hashlib.sha256(), 0, self._now()
        with target.open("wb") as sink:
            for chunk in response.iter_bytes(_CHUNK):
                size += len(chunk)
                if size > self._params.max_bytes:
                    raise refused(f"The leaderboard is above {self._params.max_bytes} bytes")
                if self._now() - begin > self._params.max_seconds:
                    raise refused(f"The leaderboard took above {self._params.max_seconds:g} s")
                digest.update(chunk)
                sink.write(chunk)
        return digest.hexdigest()

    def _read_marks(self) -> _Marks:
        try:
            raw = orjson.loads(self._marks.read_bytes())
            return _Marks(str(raw["sha256"]), str(raw["etag"]))
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            return _Marks()

    def _write_marks(self, marks: _Marks) -> None:
        temporary = self._marks.with_suffix(".tmp")
        temporary.write_bytes(orjson.dumps({"sha256": marks.sha256, "etag": marks.etag}))
        temporary.replace(self._marks)
