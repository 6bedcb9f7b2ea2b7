"""Webhooks, callbacks of requests, and what is delivered to them."""

import sqlalchemy as sa
from alembic import op

from predictq_sync.tables import JsonText

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables; to the requests a column is added, which rewrites none of them."""
    on_postgresql = op.get_context().dialect.name == "postgresql"
    key = sa.Text(collation="C") if on_postgresql else sa.Text()
    op.add_column("requests", sa.Column("callback", JsonText))
    op.create_table(
        "webhooks",
        sa.Column("id", key, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", sa.Text),
        sa.Column("events", JsonText, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.Column("condition", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", key, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", key, nullable=False),
        sa.Column("webhook_id", key),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("place", key, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("subject", key, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("history", JsonText, nullable=False),
        sa.Column("created_at", key, nullable=False),
        sa.Column("due_at", key, nullable=False),
        sa.Column("claim", sa.Text),
        sa.Column("finished_at", sa.Text),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deliveries_by_time", "deliveries", ["created_at", "id"])
    op.create_index("deliveries_by_subject", "deliveries", ["subject"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "deliveries_pending", "deliveries", ["place", "due_at"], sqlite_where=pending, postgresql_where=pending
    )
