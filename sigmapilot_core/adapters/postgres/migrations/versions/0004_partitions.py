"""Several workers share the coins: epochs that fence, states to go on from, reports of the owners.

Revision ID: 0004
Revises: 0003
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables."""
    script = Path(__file__).parent / "0004_partitions.sql"
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
