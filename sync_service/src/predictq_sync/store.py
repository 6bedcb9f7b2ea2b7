"""The store: predictions and mini-batch records, and with them the status of their requests."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from predictq.brokers import Dead, Done, Message, Record, Verdict
from predictq.clock import parse_time, wire_time
from predictq.errors import BadMessage
from predictq.loop import Limits, Outcome
from predictq.messages import BatchData, BatchEvent, InstanceError, PredictionEvent
from predictq.names import Names
from predictq_sync.announcing import announcement, finished_among
from predictq_sync.database import Database
from predictq_sync.prediction_rows import PredictionRow
from predictq_sync.rollup import NOTHING_FINISHED
from predictq_sync.skimming import skim_emitted, time_or
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.streams.recording import CompletionRecorder
from predictq_sync.tables import batches
from predictq_sync.webhooks.outbox import Outbox
from predictq_sync.writing import Stored, writer_of

__all__ = ["Store"]

log = logging.getLogger(__name__)

SPLIT_ROWS = 400
"""From here on two transactions at once take less time than one, where the database can do both."""
FOLLOWING = ("finished_second", "predict_seconds", "latency_seconds")
BATCH_COLUMNS = tuple(column.name for column in batches.columns if column.name not in FOLLOWING)


class Written(NamedTuple):
    """What one transaction is to write."""

    rows: list[PredictionRow]
    hashes: list[str]
    """Of the instances that the rows answer, one each."""
    batch_rows: list[tuple[Any, ...]]
    redelivered: list[str]
    """Ids of requests whose predictions have been given to a process before."""
    now: str


class Store:
    """Writes predictions. The first terminal row of a (request, deployment) stays; only a redrive replaces `failed`."""

    def __init__(
        self,
        *,
        database: Database,
        names: Names,
        endpoints: Iterable[str],
        limits: Limits,
        after_commit: Callable[[Sequence[PredictionRow]], None] = lambda _: None,
        outbox: Outbox | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`after_commit` is given what was committed, before it is acknowledged; what it raises, `handle` raises."""
        self.conflicts = 0
        """Predictions dropped because they answer other instances than those that their request's id stands for."""
        self._database = database
        self._names = names
        self._limits = limits
        self._after_commit = after_commit
        self._outbox = outbox or Outbox(database.dialect)
        self._clock = clock
        self._unannounced: dict[str, None] = {}
        self._place_of: dict[str, tuple[str, bool]] = {}
        for name in endpoints:
            self._place_of[names.predictions(name)] = (name, True)
            self._place_of[names.shadow_predictions(name)] = (name, False)
        self._writer = writer_of(database.dialect)
        self._record_completions = CompletionRecorder(database.dialect)
        self._threads = ThreadPoolExecutor(1, "store") if self._writer.connections > 1 else None
        self._insert_batches = BulkInsert(database.dialect, batches, (*BATCH_COLUMNS, *FOLLOWING), _first_stays)

    def limits(self) -> Limits:
        return self._limits

    def handle(self, records: Sequence[Record]) -> Outcome:
        verdicts: list[Verdict] = []
        rows: list[PredictionRow] = []
        hashes: list[str] = []
        batch_rows: list[tuple[Any, ...]] = []
        redelivered: list[str] = []
        for record in records:
            try:
                event, outputs = self._event(record)
            except BadMessage as error:
                verdicts.append(Dead(str(error)))
                continue
            verdicts.append(_DONE)
            if event["type"] == "predictq.batch.v1":
                batch_rows.append(_batch_row(event))
            else:
                rows.append(_prediction_row(event, outputs, record, self._place_of[record.topic][1]))
                hashes.append(event["data"]["instances_hash"])
                if record.redeliveries:
                    redelivered.append(event["data"]["request_id"])
        now = self._clock()
        if rows or batch_rows:
            kept = self._commit(Written(rows, hashes, batch_rows, redelivered, wire_time(now)))
            self._after_commit(kept)
        finished, self._unannounced = list(self._unannounced), {}
        return Outcome(verdicts, announcement(self._names, finished, now))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - nothing stands for it
        return ()

    def tick(self) -> None:
        """Nothing to keep."""

    def _event(self, record: Record) -> tuple[PredictionEvent | BatchEvent, str]:
        event, outputs = skim_emitted(record.value)
        endpoint, _ = self._place_of[record.topic]
        if event["data"]["endpoint"] != endpoint:
            raise BadMessage(f"data/endpoint: is {event['data']['endpoint']!r} on a topic of {endpoint!r}")
        return event, outputs

    def _commit(self, whole: Written) -> Sequence[PredictionRow]:
        """The rows that answer what their request's id stands for, once all is committed."""
        if self._threads is None or len(whole.rows) < SPLIT_ROWS:
            stored = [self._write(whole)]
        else:
            first, second = _split(whole)
            other = self._threads.submit(self._write, second)
            try:
                stored = [self._write(first)]
            finally:
                # Not given up half-way: the same records may come again at once.
                wait([other])
            stored.append(other.result())
        dropped = sum(each.dropped for each in stored)
        if dropped:
            self.conflicts += dropped
            log.warning("%d prediction(s) dropped: their ids were taken by other instances or endpoints", dropped)
        return [row for each in stored for row in each.kept]

    def _write(self, part: Written) -> Stored:
        """One transaction."""
        stored = Stored((), 0, NOTHING_FINISHED)
        with self._database.write() as connection:
            if part.rows:
                stored = self._writer.store(connection, part.rows, part.hashes, part.now)
                endpoint_of = {row.request_id: row.endpoint for row in stored.kept}
                self._record_completions(connection, stored.finished.ids, endpoint_of, part.now)
            if part.batch_rows:
                self._insert_batches(connection, part.batch_rows)
            pushes = self._outbox.requests(connection, stored.finished, part.now)
            finished = [*stored.finished.ids, *finished_among(connection, part.redelivered)]
        # Kept until they are handed on: the rows of a batch that comes again have changed already.
        if pushes:
            self._outbox.ring()
        self._unannounced.update(dict.fromkeys(finished))
        return stored


def _split(whole: Written) -> tuple[Written, Written]:
    """In two, all that belongs to one request in one of them."""
    parts = tuple(Written([], [], [], [], whole.now) for _ in range(2))
    for row, instances_hash in zip(whole.rows, whole.hashes, strict=True):
        part = parts[hash(row.request_id) & 1]
        part.rows.append(row)
        part.hashes.append(instances_hash)
    parts[0].batch_rows.extend(whole.batch_rows)
    parts[0].redelivered.extend(whole.redelivered)
    return parts[0], parts[1]


def _first_stays(insert: Any) -> Insert:
    statement: Insert = insert.on_conflict_do_nothing()
    return statement


_DONE = Done()
_json = TypeAdapter(list[InstanceError]).serializer.to_json


def _prediction_row(event: PredictionEvent, outputs: str, record: Record, visible: bool) -> PredictionRow:
    data = event["data"]
    return PredictionRow(
        data["request_id"],
        data["deployment"],
        data["endpoint"],
        data["model_version"],
        data["status"],
        outputs,
        _json(data["errors"]).decode() if data["errors"] else "[]",
        data["batch_id"],
        data["redrive"],
        visible,
        time_or(event["time"], record.published_at),
    )


def _batch_row(event: BatchEvent) -> tuple[Any, ...]:
    data = event["data"]
    told = (data[column] for column in BATCH_COLUMNS[1:])  # type: ignore[literal-required] # columns are named as fields
    return (event["id"], *told, *_following(data))


def _following(data: BatchData) -> tuple[int | None, float | None, float | None]:
    """What the times of a mini-batch tell; nothing where one has the form of a time, and is no date."""
    try:
        ingested, started, finished = (parse_time(data[name]) for name in ("ingested_at", "started_at", "finished_at"))
    except ValueError:
        return None, None, None
    return int(finished), _seconds_between(started, finished), _seconds_between(ingested, finished)


def _seconds_between(earlier: float, later: float) -> float:
    # The clocks of two machines: none is right enough for less than nothing.
    return max(0.0, round(later - earlier, 3))
