"""Episodes are counted once; what sensors ask every minute is answered by an index.

Revision ID: 0002
Revises: 0001
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the view over live and fetched episodes, and add the indexes."""
    script = Path(__file__).parent / "0002_once.sql"
    # driver_sql: the text is run as it stands, percent signs and colons included
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
