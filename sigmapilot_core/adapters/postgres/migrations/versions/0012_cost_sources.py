"""Each part of the cost has its source and its instant.

Revision ID: 0012
Revises: 0011
"""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was stored before was the base tier, of an unknown instant."""
    script = Path(__file__).parent / "0012_cost_sources.sql"
    # driver_sql: the text is run as it stands, percent signs and colons included
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
