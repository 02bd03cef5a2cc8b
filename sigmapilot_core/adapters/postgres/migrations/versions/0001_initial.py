"""All tables and views of the first release.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables, then the views over them."""
    folder = Path(__file__).parent
    for name in ("0001_tables.sql", "0001_views.sql"):
        # driver_sql: the text is run as it stands, percent signs and colons included
        op.get_bind().exec_driver_sql((folder / name).read_text())


def downgrade() -> None:
    """There is no way back from the first revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
