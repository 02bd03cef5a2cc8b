"""Health check of a container: `probe.py http://...` wants status 200, `probe.py unix:/path` wants to be accepted."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 5.0


def is_ready(target: str) -> bool:
    """Whether the target answers."""
    try:
        if target.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(TIMEOUT_S)
                client.connect(target.removeprefix("unix:"))
            return True
        with urllib.request.urlopen(target, timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(sys.argv[1]) else 1)
