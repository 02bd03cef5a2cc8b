"""Shared column types of all tables; one metadata for the whole schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Text = sa.Text
Int = sa.Integer
Big = sa.BigInteger
Bool = sa.Boolean
Real = sa.Double
Num = sa.Numeric
Date = sa.Date
Time = sa.DateTime(timezone=True)


def column(name: str, kind: Any, **options: Any) -> sa.Column:
    """A column that must be filled; `null=True` allows unknown."""
    nullable = bool(options.pop("null", False))
    return sa.Column(name, kind, nullable=nullable, **options)


def key(name: str, kind: Any) -> sa.Column:
    """A column of the primary key."""
    return sa.Column(name, kind, primary_key=True)


def unknown(name: str, kind: Any) -> sa.Column:
    """A column that may be unknown."""
    return sa.Column(name, kind, nullable=True)


def written_at(name: str = "created_at") -> sa.Column:
    """When the row was written, by the database's clock: for people, never for logic."""
    return sa.Column(name, Time, nullable=False, server_default=sa.func.now())
