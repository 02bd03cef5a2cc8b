"""What was known on a past day can be told: every answer, every leaderboard of a day, the settings of a draw.

Revision ID: 0007
Revises: 0006
"""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the evaluation of past days needs."""
    script = Path(__file__).parent / "0007_as_of.sql"
    # driver_sql: the text is run as it stands, percent signs and colons included
    op.get_bind().exec_driver_sql(script.read_text())


def downgrade() -> None:
    """There is no way back from a revision."""
    raise NotImplementedError("restore a backup instead: sigmapilot db backup")
