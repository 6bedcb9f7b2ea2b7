"""What the ledger writes of jobs, as their events come: in any order, and any of them more than once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from predictq.brokers.port import Record
from predictq.errors import BadMessage
from predictq.messages import CHUNK, CHUNK_TYPE, JOB, ChunkEvent, JobEvent
from predictq.names import endpoint_of
from predictq_sync.skimming import time_or
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import chunks, job_requests, job_results, jobs
from predictq_sync.webhooks.outbox import Outbox

__all__ = ["JobEntries", "JobRequest", "Said"]

_ASKED = frozenset({"source", "keep", "id_column", "result", "callback", "content_hash"})
_IS_CHUNK = f'"{CHUNK_TYPE}"'.encode()
OPEN = ("queued", "running")
ENDED = ("completed", "failed")
"""What is pushed; of a job that came to it before it was known what it asks for."""


class JobRequest(NamedTuple):
    """A row of `job_requests`, its fields in the order of the table."""

    job_id: str
    chunk: int
    first_row: int
    request_id: str
    rows: int


class Said(NamedTuple):
    """An event of a job or of a chunk, and when it happened."""

    event: JobEvent | ChunkEvent
    at: str


class JobEntries:
    """Called within the transaction of the ledger."""

    def __init__(self, dialect: str, outbox: Outbox) -> None:
        self._outbox = outbox
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        self._insert_requests = BulkInsert(dialect, job_requests, JobRequest._fields, _first_stays)
        new = insert(jobs).values({name: bindparam(name) for name in ("id", "endpoint", "status", "created_at")})
        self._accept = (
            new.values(asked=bindparam("asked"), metadata=bindparam("metadata"))
            .on_conflict_do_update(
                index_elements=[jobs.c.id],
                set_={
                    "asked": bindparam("asked"),
                    "metadata": bindparam("metadata"),
                    "created_at": bindparam("created_at"),
                },
                where=jobs.c.asked.is_(None),
            )
            .returning(jobs.c.status)
        )
        result = insert(job_results).values(
            {name: bindparam(name) for name in ("job_id", "url", "format")} | {"state": "open"}
        )
        self._ask_for_result = result.on_conflict_do_nothing()
        self._plan = new.values(rows=bindparam("rows"), planned_at=bindparam("at")).on_conflict_do_update(
            index_elements=[jobs.c.id],
            set_={"rows": bindparam("rows"), "planned_at": bindparam("at")},
            where=jobs.c.rows.is_(None),
        )
        self._fail = new.values(reason=bindparam("reason"), completed_at=bindparam("at")).on_conflict_do_update(
            index_elements=[jobs.c.id],
            set_={"status": "failed", "reason": bindparam("reason"), "completed_at": bindparam("at")},
            where=jobs.c.status.in_(OPEN),
        )
        chunk = insert(chunks).values({column.name: bindparam(column.name) for column in chunks.columns})
        self._ingest = chunk.on_conflict_do_nothing()
        self._process = chunk.on_conflict_do_update(
            index_elements=[chunks.c.job_id, chunks.c.number],
            set_={name: chunk.excluded[name] for name in ("state", "requests", "refused", "processing_at")},
            where=chunks.c.state == "ingested",
        )

    def read(self, record: Record) -> Said:
        """The event in a record of a topic of jobs. Raises BadMessage."""
        event: JobEvent | ChunkEvent = (
            CHUNK.decode(record.value) if _IS_CHUNK in record.value else JOB.decode(record.value)
        )
        if event["data"]["endpoint"] != endpoint_of(record.topic):
            raise BadMessage(f"data/endpoint: is {event['data']['endpoint']!r} on the topic {record.topic}")
        return Said(event, time_or(event["time"], record.published_at))

    def __call__(self, connection: Connection, said: Sequence[Said], rows: Sequence[JobRequest]) -> None:
        """Write them. In the order of ids, as every writer."""
        for event, at in sorted(said, key=_order):
            if event["type"] == "predictq.chunk.v1":
                self._chunk(connection, event, at)
            else:
                self._job(connection, event, at)
        if rows:
            self._insert_requests(connection, sorted(rows))

    def _job(self, connection: Connection, event: JobEvent, at: str) -> None:
        data = event["data"]
        stub = {"id": data["job_id"], "endpoint": data["endpoint"], "status": "queued", "created_at": at}
        match data["state"]:
            case "accepted":
                asked = {name: value for name, value in data.items() if name in _ASKED}
                metadata = to_json(data["metadata"]).decode() if "metadata" in data else None
                entered = {**stub, "asked": to_json(asked).decode(), "metadata": metadata}
                # An event that comes again, or another one of the same id, changes nothing.
                status = connection.execute(self._accept, entered).scalar()
                if status is not None and "result" in data:
                    connection.execute(self._ask_for_result, {"job_id": data["job_id"], **data["result"]})
                if status in ENDED and "callback" in data:
                    self._outbox.job(connection, data["job_id"], status, at)
            case "planned":
                connection.execute(self._plan, {**stub, "rows": data.get("rows", 0), "at": at})
            case "failed":
                failed = {**stub, "status": "failed", "reason": data.get("reason", ""), "at": at}
                if connection.execute(self._fail, failed).rowcount:
                    self._outbox.job(connection, data["job_id"], "failed", at)

    def _chunk(self, connection: Connection, event: ChunkEvent, at: str) -> None:
        data = event["data"]
        cut = data["state"] == "cut"
        row: dict[str, Any] = dict.fromkeys((column.name for column in chunks.columns), None)
        row.update(
            {name: data[name] for name in ("job_id", "number", "first_row", "rows", "url", "form")},
            state="processing" if cut else "ingested",
            carried=to_json(data["carried"]).decode(),
            requests=data.get("requests"),
            refused=data.get("refused"),
            ingested_at=at,
            processing_at=at if cut else None,
        )
        connection.execute(self._process if cut else self._ingest, row)


def _order(said: Said) -> tuple[str, int]:
    event = said.event
    number = event["data"]["number"] if event["type"] == "predictq.chunk.v1" else -1
    return event["data"]["job_id"], number


def _first_stays(insert: Any) -> Insert:
    statement: Insert = insert.on_conflict_do_nothing()
    return statement
