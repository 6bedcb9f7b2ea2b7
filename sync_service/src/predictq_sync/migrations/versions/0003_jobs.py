"""Jobs, their chunks, and the rows that their requests hold."""

import sqlalchemy as sa
from alembic import op

from predictq_sync.tables import JsonText

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    on_postgresql = op.get_context().dialect.name == "postgresql"
    key = sa.Text(collation="C") if on_postgresql else sa.Text()
    op.create_table(
        "jobs",
        sa.Column("id", key, nullable=False),
        sa.Column("endpoint", key, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("asked", JsonText),
        sa.Column("metadata", JsonText),
        sa.Column("rows", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", key, nullable=False),
        sa.Column("planned_at", sa.Text),
        sa.Column("started_at", sa.Text),
        sa.Column("completed_at", key),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_by_time", "jobs", ["created_at"])
    op.create_table(
        "chunks",
        sa.Column("job_id", key, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("carried", JsonText, nullable=False),
        sa.Column("requests", sa.Integer),
        sa.Column("refused", sa.Integer),
        sa.Column("succeeded", sa.Integer),
        sa.Column("failed", sa.Integer),
        sa.Column("expired", sa.Integer),
        sa.Column("cancelled", sa.Integer),
        sa.Column("ingested_at", sa.Text, nullable=False),
        sa.Column("processing_at", sa.Text),
        sa.Column("done_at", sa.Text),
        sa.PrimaryKeyConstraint("job_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_requests",
        sa.Column("job_id", key, nullable=False),
        sa.Column("chunk", sa.Integer, nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("request_id", key, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "chunk", "first_row"),
        sqlite_with_rowid=False,
    )
