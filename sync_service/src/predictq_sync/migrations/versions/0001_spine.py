"""Requests, predictions, mini-batches, dead letters and the ledger's watermark."""

import sqlalchemy as sa
from alembic import op

from predictq_sync.tables import JsonText

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "requests",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("deployments", JsonText),
        sa.Column("owed", sa.Integer),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("instances_hash", sa.Text, nullable=False),
        sa.Column("metadata", JsonText),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("deadline", sa.Text),
        sa.Column("completed_at", sa.Text),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("requests_by_endpoint", "requests", ["endpoint", "created_at"])
    op.create_table(
        "predictions",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("outputs", JsonText, nullable=False),
        sa.Column("errors", JsonText, nullable=False),
        sa.Column("batch_id", sa.Text),
        sa.Column("redrive", sa.Integer, nullable=False),
        sa.Column("visible", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "deployment"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("ingested_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("batches_by_time", "batches", ["finished_at"])
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("redeliveries", sa.Integer, nullable=False),
        sa.Column("redrive", sa.Integer, nullable=False),
        sa.Column("origin_topic", sa.Text, nullable=False),
        sa.Column("origin_partition", sa.Integer, nullable=False),
        sa.Column("origin_position", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("headers", JsonText, nullable=False),
        sa.Column("published_at", sa.Text, nullable=False),
        sa.Column("dead_at", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("redriven_at", sa.Text),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dead_letters_by_time", "dead_letters", ["dead_at"])
    op.create_table(
        "watermarks",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
