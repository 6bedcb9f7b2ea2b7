"""PostgreSQL: keys compared by their characters, and room beside each request for its second version."""

from alembic import op

revision = "0002"
down_revision = "0001"

KEYS = {
    "requests": ("id", "endpoint", "created_at"),
    "predictions": ("request_id", "deployment"),
    "batches": ("id", "finished_at"),
    "dead_letters": ("id", "dead_at"),
}


def upgrade() -> None:
    """SQLite compares text by its characters anyway."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, columns in KEYS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")
    op.execute("ALTER TABLE requests SET (fillfactor = 50)")
