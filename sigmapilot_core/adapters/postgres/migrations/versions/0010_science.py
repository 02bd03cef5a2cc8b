"""Reports of the science: calibration maps, walk-forward, truth of simulated worlds.

Revision ID: 0010
Revises: 0009
"""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    script = Path(__file__).parent / "0010_science.sql"
    # driver_sql: the text is run as it stands, percent signs and colons included
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
