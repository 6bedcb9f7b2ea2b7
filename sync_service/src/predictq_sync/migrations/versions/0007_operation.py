"""What the routes of operators look for: a request's job and dead letters, and what mini-batches took."""

import sqlalchemy as sa
from alembic import op

from predictq_sync.dead_letters import request_of

revision = "0007"
down_revision = "0006"

CHUNK = 100
ACTIVITY = (
    "endpoint",
    "deployment",
    "finished_second",
    "requests",
    "size",
    "status",
    "predict_seconds",
    "latency_seconds",
)


def upgrade() -> None:
    """Add columns and indexes. Dead letters that are there are read; what earlier mini-batches took is not told."""
    on_postgresql = op.get_context().dialect.name == "postgresql"
    op.add_column("batches", sa.Column("finished_second", sa.BigInteger))
    op.add_column("batches", sa.Column("predict_seconds", sa.Double))
    op.add_column("batches", sa.Column("latency_seconds", sa.Double))
    if on_postgresql:
        # What an index compares is compared by characters: cheap, and the same under any locale.
        for name in ("endpoint", "deployment", "status"):
            op.alter_column("batches", name, type_=sa.Text(collation="C"))
    told = sa.text("finished_second IS NOT NULL")
    op.create_index("batches_by_deployment", "batches", ACTIVITY, sqlite_where=told, postgresql_where=told)
    op.add_column("dead_letters", sa.Column("request_id", sa.Text(collation="C") if on_postgresql else sa.Text()))
    _tell_requests()
    op.create_index("dead_letters_by_request", "dead_letters", ["request_id"])
    op.create_index("job_requests_by_request", "job_requests", ["request_id"])


def _tell_requests() -> None:
    """Bodies are large, so a few at a time."""
    connection = op.get_bind()
    letters = sa.table("dead_letters", sa.column("id"), sa.column("value"), sa.column("request_id"))
    some = sa.select(letters.c.id, letters.c.value).order_by(letters.c.id).limit(CHUNK)
    last = ""
    while rows := connection.execute(some.where(letters.c.id > last)).all():
        last = rows[-1].id
        for row in rows:
            if (found := request_of(bytes(row.value))) is not None:
                connection.execute(letters.update().where(letters.c.id == row.id).values(request_id=found))
