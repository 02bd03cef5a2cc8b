"""`ports.LeaderboardSource` as the settings say: the exchange's file, or a recorded table."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from sigmapilot_core.adapters.hyperliquid.errors import LeaderboardError
from sigmapilot_core.adapters.hyperliquid.leaderboard import Leaderboard, read_csv_leaderboard
from sigmapilot_core.adapters.hyperliquid.leaderboard_download import DownloadParams
from sigmapilot_core.adapters.hyperliquid.leaderboard_download import LeaderboardDownload as Downloader
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.ports import LeaderboardDownload, LeaderboardSource, LeaderboardUnavailableError


def leaderboard_source(settings: Settings) -> LeaderboardSource:
    """The recorded table where a recording names one, else the file of the venue."""
    if settings.recording.leaderboard_dir is not None:
        return RecordedLeaderboard(settings.recording.leaderboard_dir)
    return HttpLeaderboard(settings.venue.leaderboard, settings.mode_dir / "leaderboard")


class HttpLeaderboard:
    """The file over HTTP; the last good copy is kept in a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    @property
    def name(self) -> str:
        """The address."""
        return self._url

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload:
        """Today's file, or that of a past day where the venue is simulated."""
        day = "" if as_of_ms is None else f"?asOfMs={as_of_ms}"
        folder = self._folder if as_of_ms is None else self._folder / "past"
        try:
            fetched = Downloader(DownloadParams(self._url + day, folder), time.monotonic).fetch()
        except LeaderboardError as error:
            raise LeaderboardUnavailableError(str(error)) from error
        return _download(fetched.board, fetched.sha256, self._url)


class RecordedLeaderboard:
    """A table of a recording: a folder with one CSV file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"recording {self._folder.name}"

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload:
        """The recorded rows, whatever day is asked for."""
        files = sorted(self._folder.glob("*.csv"))
        if len(files) != 1:
            raise LeaderboardUnavailableError(
                f"the folder {self._folder.name} holds {len(files)} CSV files; one leaderboard is allowed"
            )
        try:
            board = read_csv_leaderboard(files[0])
        except LeaderboardError as error:
            raise LeaderboardUnavailableError(str(error)) from error
        return _download(board, hashlib.sha256(files[0].read_bytes()).hexdigest(), self.name)


def _download(board: Leaderboard, sha256: str, source: str) -> LeaderboardDownload:
    reasons = [f"{count} x {reason}" for reason, count in sorted(board.rejected.items())]
    return LeaderboardDownload(
        rows=board.rows,
        bad_rows=sum(board.rejected.values()),
        bad_example="; ".join(reasons[:5]) or None,
        sha256=sha256,
        source=source,
    )
