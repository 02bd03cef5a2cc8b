"""docs/settings.md as the table of settings makes it; `python tests/contracts/settings_document.py` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sigmapilot_core.adapters.settings import Described, describe
from sigmapilot_core.adapters.settings_schema import PREFIX

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
HEAD = """# Settings

Environment variables, read once by `sigmapilot_core/adapters/settings.py`. A variable that starts with `SIGMAPILOT_`
and is none of these, or a value that is not allowed, stops the start with one sentence; one that only looks like a
parameter (`CONSENSUS_...`) is named at the start and ignored. Settings that contradict each other (an effective K that
the least number of traders can never reach) stop the start as well. `sigmapilot settings` shows the values in force,
secrets masked.

This file is generated: `python tests/contracts/settings_document.py`.
"""


def text() -> str:
    """The whole document."""
    rows = list(describe())
    installation = [row for row in rows if row.name.startswith(PREFIX)]
    parameters = [row for row in rows if not row.name.startswith(PREFIX)]
    parts = [
        HEAD,
        "## Installation\n\n" + _table(installation),
        "## Parameters\n\n"
        "Every one is part of the settings hash of a decision. Fractions are of 1, `_R` are multiples of risk.\n\n"
        + _table(parameters),
    ]
    return "\n".join(parts)


def _table(rows: Iterable[Described]) -> str:
    lines = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default else "unset"
        lines.append(f"| `{row.name}` | {default} | {_cell(row.allowed)} | {_cell(row.meaning)} |")
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    DOCUMENT.write_text(text())
