"""Webhooks that take several events in one push."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add a column to the few rows of webhooks."""
    op.add_column("webhooks", sa.Column("batch", sa.Boolean, nullable=False, server_default=sa.text("false")))
