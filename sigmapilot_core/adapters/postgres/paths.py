"""Where the embedded server keeps its files, as a pure function of home folder and mode: clients need not ask.

Each mode has its own folder and its own cluster, so that modes can run side by side and removing one touches no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

APPLICATION_ROLE = "sigmapilot"
SUPERUSER_ROLE = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH_BYTES = 107
_SHORT_ROOT = Path("/tmp")  # not the environment's: server and clients must come to the same folder


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """Folders of one embedded server; `root` belongs to the server's account alone."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def socket_dir(self) -> Path:
        """Beside the data; a short folder named after the root where the path would exceed the system's limit."""
        beside = self.root / "run"
        if len(bytes(beside / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
            return beside
        digest = hashlib.sha256(bytes(self.root)).hexdigest()[:16]
        return _SHORT_ROOT / f"sigmapilot-{digest}"

    def url(self, database: str, role: str = APPLICATION_ROLE, driver: str = "") -> str:
        """URL of a database on this server: no password, the socket's folder is the key."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        # the port names the socket; unsaid it would come from the caller's PGPORT
        return f"{scheme}://{role}@/{database}?host={quote(str(self.socket_dir))}&port=5432"
