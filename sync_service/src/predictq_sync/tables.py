"""The tables.

Times are text as the wire carries them (RFC 3339, UTC, milliseconds, `Z`): of one width, they sort and compare as text
on both databases, read well in a shell, and cost no conversion for any message on the way in or out. The watermark
alone is Unix seconds, because it is only ever compared with clocks; of mini-batches, which are few, that is kept too.

There are no foreign keys: a prediction may be stored before the ledger has its request.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Cast,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    cast,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

__all__ = [
    "JsonText",
    "batches",
    "chunks",
    "completions",
    "dead_letters",
    "deliveries",
    "job_requests",
    "job_results",
    "jobs",
    "metadata",
    "predictions",
    "requests",
    "watermarks",
    "webhooks",
]


class JsonText(UserDefinedType[str]):
    """A JSON column whose Python side is the JSON text itself: nothing is serialised twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """`JSON` on both: PostgreSQL checks it, SQLite stores it as text."""
        return "JSON"

    def column_expression(self, colexpr: ColumnElement[str]) -> Cast[str]:
        """Read as text, whatever the driver would make of it."""
        return cast(colexpr, Text)


Key = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text of an index, in the order of its characters: cheap to compare, and the order in which Python sorts ids."""
FILL_PERCENT = 50
"""Of a page of `requests` on PostgreSQL: every row is written twice, and beside its first version the second one needs
no new entry in any index."""

metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("id", Key, primary_key=True),
    Column("endpoint", Key, nullable=False),
    # The visible deployments that owe an answer; null in a stub.
    Column("deployments", JsonText),
    # How many of them; null in a stub, which a prediction left before the ledger came.
    Column("owed", Integer),
    Column("status", Text, nullable=False),
    Column("instances_hash", Text, nullable=False),
    Column("metadata", JsonText),
    Column("created_at", Key, nullable=False),
    Column("deadline", Text),
    # When the status last changed from or between terminal ones.
    Column("completed_at", Text),
    # Where its end is pushed to: url, events.
    Column("callback", JsonText),
    Index("requests_by_endpoint", "endpoint", "created_at"),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": FILL_PERCENT},
)

predictions = Table(
    "predictions",
    metadata,
    Column("request_id", Key, primary_key=True),
    Column("deployment", Key, primary_key=True),
    Column("endpoint", Text, nullable=False),
    # Null where no model was asked: cancelled before its turn.
    Column("model_version", Text),
    Column("status", Text, nullable=False),
    Column("outputs", JsonText, nullable=False),
    Column("errors", JsonText, nullable=False),
    Column("batch_id", Text),
    Column("redrive", Integer, nullable=False),
    # False for what a shadow answered.
    Column("visible", Boolean, nullable=False),
    Column("created_at", Text, nullable=False),
    sqlite_with_rowid=False,
)

batches = Table(
    "batches",
    metadata,
    Column("id", Key, primary_key=True),
    Column("endpoint", Key, nullable=False),
    Column("deployment", Key, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    # Instances.
    Column("size", Integer, nullable=False),
    Column("ingested_at", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Key, nullable=False),
    Column("status", Key, nullable=False),
    # What follows from the times, so that nobody who adds up thousands of rows has to read text: Unix seconds of its
    # end, how long that was after its start, and after its oldest request. Null where a time is no date.
    Column("finished_second", BigInteger),
    Column("predict_seconds", Double),
    Column("latency_seconds", Double),
    Index("batches_by_time", "finished_at"),
)
# All that the activity of a deployment is made of, so that SQLite neither sorts nor looks up tens of thousands of rows.
Index(
    "batches_by_deployment",
    *(
        batches.c[name]
        for name in (
            "endpoint",
            "deployment",
            "finished_second",
            "requests",
            "size",
            "status",
            "predict_seconds",
            "latency_seconds",
        )
    ),
    sqlite_where=batches.c.finished_second.is_not(None),
    postgresql_where=batches.c.finished_second.is_not(None),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    # Derived from group and origin, so that a redelivery is no second row.
    Column("id", Key, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("redeliveries", Integer, nullable=False),
    Column("redrive", Integer, nullable=False),
    Column("origin_topic", Text, nullable=False),
    Column("origin_partition", Integer, nullable=False),
    Column("origin_position", Text, nullable=False),
    Column("key", LargeBinary),
    # The original bytes.
    Column("value", LargeBinary, nullable=False),
    # The original headers.
    Column("headers", JsonText, nullable=False),
    Column("published_at", Text, nullable=False),
    Column("dead_at", Key, nullable=False),
    # open or redriven
    Column("state", Text, nullable=False),
    Column("redriven_at", Text),
    # Of what is a request, or a prediction of one.
    Column("request_id", Key),
    Index("dead_letters_by_time", "dead_at"),
    Index("dead_letters_by_request", "request_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("endpoint", Key, nullable=False),
    # queued, running, completed, failed or cancelled
    Column("status", Text, nullable=False),
    # What was asked for: source, keep, id_column, result, content_hash.
    Column("asked", JsonText),
    Column("metadata", JsonText),
    # All rows of the file; null until it was read to its end.
    Column("rows", Integer),
    Column("reason", Text),
    Column("created_at", Key, nullable=False),
    Column("planned_at", Text),
    Column("started_at", Text),
    Column("completed_at", Key),
    Index("jobs_by_time", "created_at"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("job_id", Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    # ingested, processing or done
    Column("state", Text, nullable=False),
    Column("first_row", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("form", Text, nullable=False),
    # Columns that go to the result as they are.
    Column("carried", JsonText, nullable=False),
    # Null until it is cut.
    Column("requests", Integer),
    # Rows that no request was made of.
    Column("refused", Integer),
    # Rows by what became of them; null until it is done.
    Column("succeeded", Integer),
    Column("failed", Integer),
    Column("expired", Integer),
    Column("cancelled", Integer),
    Column("ingested_at", Text, nullable=False),
    Column("processing_at", Text),
    Column("done_at", Text),
    sqlite_with_rowid=False,
)

# Which rows a request of a job holds. Requests of no job have none, and cost nothing.
job_requests = Table(
    "job_requests",
    metadata,
    Column("job_id", Key, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("first_row", Integer, primary_key=True),
    Column("request_id", Key, nullable=False),
    Column("rows", Integer, nullable=False),
    Index("job_requests_by_request", "request_id"),
    sqlite_with_rowid=False,
)

# Where the results of jobs are to be written to, and whether they are.
job_results = Table(
    "job_results",
    metadata,
    Column("job_id", Key, primary_key=True),
    Column("url", Text, nullable=False),
    Column("format", Text, nullable=False),
    # open, written, or none where there is nothing to write
    Column("state", Text, nullable=False),
    Column("written_at", Text),
    # Why it is not written, or was not the last time.
    Column("error", Text),
    # Until when a process is at it, and which.
    Column("claim", Text),
)
Index(
    "job_results_open",
    job_results.c.job_id,
    sqlite_where=job_results.c.state == "open",
    postgresql_where=job_results.c.state == "open",
)

webhooks = Table(
    "webhooks",
    metadata,
    # A UUID, or the name of one of the settings.
    Column("id", Key, primary_key=True),
    Column("url", Text, nullable=False),
    # Null: those of the settings, `push.secret`.
    Column("secret", Text),
    # The one before, and until when it signs too.
    Column("old_secret", Text),
    Column("old_secret_until", Text),
    # A JSON array; empty for all.
    Column("events", JsonText, nullable=False),
    Column("endpoint", Text),
    Column("job_id", Text),
    # A condition on outputs.
    Column("condition", Text),
    # settings or api
    Column("source", Text, nullable=False),
    # enabled or disabled
    Column("state", Text, nullable=False),
    # Why it is disabled.
    Column("reason", Text),
    Column("created_at", Key, nullable=False),
    # Whether one push holds several events.
    Column("batch", Boolean, nullable=False, server_default=text("false")),
)

# The outbox: what is to be pushed, and what was.
deliveries = Table(
    "deliveries",
    metadata,
    # Derived from what ended and who is told: a completion is pushed to a subscription once.
    Column("id", Key, primary_key=True),
    # Null for the callback of a request.
    Column("webhook_id", Key),
    Column("url", Text, nullable=False),
    # Scheme, host and port of the URL; of a webhook with `batch` its id too.
    Column("place", Key, nullable=False),
    Column("event", Text, nullable=False),
    # Id of the request or job.
    Column("subject", Key, nullable=False),
    # pending, delivered or failed
    Column("state", Text, nullable=False),
    # Tries that have ended.
    Column("attempts", Integer, nullable=False),
    # A JSON array with an entry for each of them.
    Column("history", JsonText, nullable=False),
    Column("created_at", Key, nullable=False),
    # When the next try is due; while a process is at it, when that process is given up.
    Column("due_at", Key, nullable=False),
    # Of the process that is at it.
    Column("claim", Text),
    Column("finished_at", Text),
    Index("deliveries_by_time", "created_at", "id"),
    Index("deliveries_by_subject", "subject"),
)
Index(
    "deliveries_pending",
    deliveries.c.place,
    deliveries.c.due_at,
    sqlite_where=deliveries.c.state == "pending",
    postgresql_where=deliveries.c.state == "pending",
)

# Which requests were completed, in the order of streams: a row for each commit and endpoint. What retention deletes
# leaves the last of its rows, without ids, so that a stream can tell that it was to begin there.
completions = Table(
    "completions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # On PostgreSQL the 64 bits of its transaction id; 0 on SQLite.
    Column("transaction_id", BigInteger, nullable=False),
    Column("endpoint", Key, nullable=False),
    Column("requests", Integer, nullable=False),
    # Theirs, a JSON array; null once retention has taken them.
    Column("ids", Text),
    Column("completed_at", Text, nullable=False),
    Index("completions_in_order", "endpoint", "transaction_id", "number"),
    sqlite_autoincrement=True,
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", Text, primary_key=True),
    # Unix seconds.
    Column("at", Double, nullable=False),
)
