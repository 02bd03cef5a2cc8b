"""The token of state-changing calls: given in the environment, or made once for a mode and kept in its folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from sigmapilot_core.adapters.settings import Settings


def ensure_token(settings: Settings) -> tuple[SecretStr, bool]:
    """The token and whether it was made just now (and should be shown, this once)."""
    known = known_token(settings)
    if known is not None:
        return known, False
    token = secrets.token_urlsafe(32)
    _write_private(settings.token_file, token)
    return SecretStr(token), True


def known_token(settings: Settings) -> SecretStr | None:
    """The token in force, None before the first start."""
    if settings.api_token is not None:
        return settings.api_token
    try:
        return SecretStr(settings.token_file.read_text().strip())
    except FileNotFoundError:
        return None


def _write_private(path: Path, text: str) -> None:
    """Never readable by others, not for a moment."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
