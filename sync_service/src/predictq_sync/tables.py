"""The tables.

Times are text as the wire carries them (RFC 3339, UTC, milliseconds, `Z`): of one width, they sort and compare as text
on both databases, read well in a shell, and cost no conversion for any message on the way in or out. The watermark
alone is Unix seconds, because it is only ever compared with clocks.

There are no foreign keys: a prediction may be stored before the ledger has its request.
"""

from sqlalchemy import (
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
)
from sqlalchemy.types import UserDefinedType

__all__ = ["JsonText", "batches", "dead_letters", "metadata", "predictions", "requests", "watermarks"]


class JsonText(UserDefinedType[str]):
    """A JSON column whose Python side is the JSON text itself: nothing is serialised twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """`JSON` on both: PostgreSQL checks it, SQLite stores it as text."""
        return "JSON"

    def column_expression(self, colexpr: ColumnElement[str]) -> Cast[str]:
        """Read as text, whatever the driver would make of it."""
        return cast(colexpr, Text)


metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    # The visible deployments that owe an answer; null in a stub.
    Column("deployments", JsonText),
    # How many of them; null in a stub, which a prediction left before the ledger came.
    Column("owed", Integer),
    Column("status", Text, nullable=False),
    Column("instances_hash", Text, nullable=False),
    Column("metadata", JsonText),
    Column("created_at", Text, nullable=False),
    Column("deadline", Text),
    # When the status last changed from or between terminal ones.
    Column("completed_at", Text),
    Index("requests_by_endpoint", "endpoint", "created_at"),
    sqlite_with_rowid=False,
)

predictions = Table(
    "predictions",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("deployment", Text, primary_key=True),
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
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    # Instances.
    Column("size", Integer, nullable=False),
    Column("ingested_at", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text, nullable=False),
    Column("status", Text, nullable=False),
    Index("batches_by_time", "finished_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    # Derived from group and origin, so that a redelivery is no second row.
    Column("id", Text, primary_key=True),
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
    Column("dead_at", Text, nullable=False),
    # open or redriven
    Column("state", Text, nullable=False),
    Column("redriven_at", Text),
    Index("dead_letters_by_time", "dead_at"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", Text, primary_key=True),
    # Unix seconds.
    Column("at", Double, nullable=False),
)
