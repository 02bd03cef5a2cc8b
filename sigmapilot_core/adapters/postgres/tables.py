"""Every table of the `sigmapilot` database as SQLAlchemy Core tables; `metadata` is their union."""

from sigmapilot_core.adapters.postgres.schema import completeness, model, operators, stream
from sigmapilot_core.adapters.postgres.schema.base import metadata

__all__ = ["completeness", "metadata", "model", "operators", "stream"]
