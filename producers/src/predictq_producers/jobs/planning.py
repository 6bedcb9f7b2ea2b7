"""The planner: the file of a job becomes chunks, each a file in the storage, so that any cutter can read it.

The file is read once, from its beginning to its end. Each chunk is announced as soon as it is durable, so that the
first rows are predicted while the last are still read.
"""

import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from predictq.brokers.port import Dead, Done, Message, Producer, Record, Verdict
from predictq.chunkfile import write_table
from predictq.errors import BadMessage, Unavailable, UserMistake
from predictq.loop import Limits, Outcome
from predictq.messages import JOB, JOB_TYPE, ChunkData, ChunkForm, JobData, JobSource
from predictq.names import Names
from predictq.settings import JobSettings
from predictq.storage import NotInStorage, Storage
from predictq_producers.jobs.columns import Columns, columns_of
from predictq_producers.jobs.csv_rows import read_csv
from predictq_producers.jobs.events import chunk_message, job_message
from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.json_rows import read_json, read_json_lines
from predictq_producers.jobs.pieces import Lines, Piece, Table, gathered
from predictq_producers.jobs.reading import OpenFile, opened, told
from predictq_producers.jobs.tables import read_arrow, read_parquet
from predictq_producers.jobs.tries import EndsProcesses, tried
from predictq_producers.requests import RequestMaker

__all__ = ["Planner"]

log = logging.getLogger(__name__)

MAX_BATCH = 200
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_JSON_BYTES = 256 * 1024 * 1024
"""Of a JSON array, which is read whole."""
OUTCOME = "outcome.json"
"""Of a job, in the storage: what was said of it when it was planned, or failed."""
TRIES = "planning"
_IS_JOB = f'"{JOB_TYPE}"'.encode()


class _Planned(NamedTuple):
    rows: int
    chunks: int


class Planner:
    """The handler of accepted jobs. Reads the topic of jobs and passes over everything else on it."""

    def __init__(
        self,
        *,
        names: Names,
        makers: Mapping[str, RequestMaker],
        settings: JobSettings,
        storage: Storage,
        open_producer: Callable[[], Producer],
        cancelled: Container[str] = (),
    ) -> None:
        self._names = names
        self._makers = makers
        self._settings = settings
        self._storage = storage
        self._open_producer = open_producer
        self._producer: Producer | None = None
        self._cancelled = cancelled

    def limits(self) -> Limits:
        """Jobs are few; most of what comes are chunks of them."""
        return Limits(max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES, max_wait_seconds=0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        """Plan each job that was accepted."""
        return Outcome([self._verdict(record) if _IS_JOB in record.value else Done() for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        """A job that ends the planner has failed."""
        try:
            data = JOB.decode(record.value)["data"]
        except BadMessage:
            return ()
        if data["state"] != "accepted":
            return ()
        failed = _failed(data, f"the file cannot be read: {reason}")
        with suppress(Unavailable):
            self._remember(failed)
        return (job_message(self._names, failed),)

    def tick(self) -> None:
        """Nothing to keep."""

    def _verdict(self, record: Record) -> Verdict:
        try:
            data = JOB.decode(record.value)["data"]
        except BadMessage as error:
            return Dead(str(error))
        if data["state"] != "accepted":
            return Done()
        if data["endpoint"] not in self._makers:
            return Done((job_message(self._names, _failed(data, f"there is no endpoint {data['endpoint']!r}")),))
        # The same job once more, started twice or submitted under its key: whatever file came with it, the first stays.
        outcome = self._known(data)
        if outcome is None:
            try:
                outcome = self._outcome(data, again=record.redeliveries > 0)
            except EndsProcesses as error:
                return Dead(str(error), self.buried(record, str(error)))
            self._remember(outcome)
        else:
            log.info("job %s is %s already", data["job_id"], outcome["state"])
        return Done((job_message(self._names, outcome),))

    def _outcome(self, data: JobData, *, again: bool) -> JobData:
        """Plan the job; what is to be told of it. Raises EndsProcesses."""
        try:
            planned = self._plan_again(data) if again else self._plan(data, again=False)
        except UserMistake as error:
            log.warning("job %s failed: %s", data["job_id"], error)
            return _failed(data, str(error))
        log.info("job %s: %d rows in %d chunks", data["job_id"], planned.rows, planned.chunks)
        return {
            "job_id": data["job_id"],
            "endpoint": data["endpoint"],
            "state": "planned",
            "rows": planned.rows,
            "chunks": planned.chunks,
        }

    def _known(self, data: JobData) -> JobData | None:
        """What came of the job before, if it was planned to its end."""
        try:
            with self._storage.open(self._storage.url_of("jobs", data["job_id"], OUTCOME)) as stream:
                outcome: JobData = from_json(stream.read())
        except NotInStorage:
            return None
        return outcome

    def _remember(self, outcome: JobData) -> None:
        with self._storage.writing("jobs", outcome["job_id"], OUTCOME) as stream:
            stream.write(to_json(outcome))

    def _plan_again(self, data: JobData) -> _Planned:
        job = ("jobs", data["job_id"])
        with tried(self._storage, *job, TRIES, done_before=len(self._storage.names(*job, "chunks"))):
            return self._plan(data, again=True)

    def _plan(self, data: JobData, *, again: bool) -> _Planned:
        """Raises UserMistake where the file cannot be read, or not to its end; what came before is announced then."""
        if "source" not in data:
            raise BadFile("the job names no source")
        source = data["source"]
        rows = chunks = 0
        options = self._settings.storage_options
        with opened(source, options, max_bytes=self._settings.max_file_bytes) as file, told():
            for piece in gathered(self._pieces(file, source), self._settings.chunk_rows):
                if data["job_id"] in self._cancelled:
                    log.info("job %s was cancelled while it was planned", data["job_id"])
                    break
                columns = self._columns(data, piece)
                chunk = self._chunk(data, columns, chunks, rows, piece.rows)
                # A later chunk's file is written after this one was announced: by a planner that was killed since.
                told_before = again and self._storage.exists(*self._place(data, chunks + 1, piece))
                if not told_before:
                    self._write(data, chunks, piece)
                    self._publish(chunk_message(self._names, chunk))
                rows += piece.rows
                chunks += 1
        if not rows:
            raise BadFile("the file has no rows")
        return _Planned(rows, chunks)

    def _pieces(self, file: OpenFile, source: JobSource) -> Iterator[Piece]:
        limit = self._settings.max_row_bytes
        match file.kind.format:
            case "csv":
                return read_csv(file, source, max_row_bytes=limit)
            case "jsonl":
                return read_json_lines(file, max_row_bytes=limit)
            case "json":
                return read_json(file, max_bytes=MAX_JSON_BYTES)
            case "parquet":
                return read_parquet(file, self._settings.chunk_rows)
            case "arrow":
                return read_arrow(file, self._settings.chunk_rows)

    def _columns(self, data: JobData, piece: Piece) -> Columns:
        keep, id_column = data.get("keep", []), data.get("id_column")
        if isinstance(piece, Lines):
            return Columns(None, [*([id_column] if id_column is not None else []), *keep])
        schema = self._makers[data["endpoint"]].check.json_schema
        return columns_of(piece.table.column_names, schema, keep, id_column)

    def _chunk(self, data: JobData, columns: Columns, number: int, first_row: int, rows: int) -> ChunkData:
        maker = self._makers[data["endpoint"]]
        source = data["source"]
        form: ChunkForm = "jsonl" if columns.features is None else "arrow"
        return {
            "job_id": data["job_id"],
            "endpoint": data["endpoint"],
            "state": "planned",
            "number": number,
            "first_row": first_row,
            "rows": rows,
            "url": self._storage.url_of("jobs", data["job_id"], "chunks", f"{number:06d}.{form}"),
            "form": form,
            "features": columns.features,
            "named": source.get("header", True) and not data.get("arrays", False),
            "carried": columns.carried,
            "request_rows": min(self._settings.request_rows, maker.max_instances),
            "request_bytes": maker.max_bytes,
            "packed": self._settings.packed_requests,
        }

    def _place(self, data: JobData, number: int, piece: Piece) -> tuple[str, ...]:
        form = "jsonl" if isinstance(piece, Lines) else "arrow"
        return "jobs", data["job_id"], "chunks", f"{number:06d}.{form}"

    def _write(self, data: JobData, number: int, piece: Piece) -> None:
        with self._storage.writing(*self._place(data, number, piece)) as stream:
            if isinstance(piece, Lines):
                stream.write(b"\n".join(piece.lines))
            else:
                write_table(stream, _one(piece), piece.refused)

    def _publish(self, message: Message) -> None:
        if self._producer is None:
            self._producer = self._open_producer()
        self._producer.publish([message])


def _one(piece: Table) -> Any:
    return piece.table.combine_chunks()


def _failed(data: JobData, reason: str) -> JobData:
    return {"job_id": data["job_id"], "endpoint": data["endpoint"], "state": "failed", "reason": reason[:2000]}
