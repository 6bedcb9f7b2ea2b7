"""Result files of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    on_postgresql = op.get_context().dialect.name == "postgresql"
    key = sa.Text(collation="C") if on_postgresql else sa.Text()
    op.create_table(
        "job_results",
        sa.Column("job_id", key, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("written_at", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("claim", sa.Text),
        sa.PrimaryKeyConstraint("job_id"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index("job_results_open", "job_results", ["job_id"], sqlite_where=is_open, postgresql_where=is_open)
