"""Pinned accounts: always followed, voting only if they are in the pool.

Revision ID: 0005
Revises: 0004
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and the older name of its custom accounts."""
    script = Path(__file__).parent / "0005_pinned.sql"
    # driver_sql: the text is run as it stands, percent signs and colons included
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
