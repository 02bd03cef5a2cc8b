"""Metadata shown in the Dagster UI: small tables and numbers, never a whole data set."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg


def preview_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A few rows as a table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_shown(value) for value in row) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.4g}" if isinstance(value, float) else str(value).replace("|", "/")
