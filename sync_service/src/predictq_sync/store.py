"""The store: predictions and mini-batch records, and with them the status of their requests."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import or_

from predictq.brokers import Dead, Done, Message, Record, Verdict
from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.loop import Limits, Outcome
from predictq.messages import BatchEvent, PredictionEvent
from predictq.names import Names
from predictq_sync.announcing import announcement
from predictq_sync.bodies import bodies_of
from predictq_sync.database import Database
from predictq_sync.prediction_rows import PREDICTION_COLUMNS, PredictionRow, first_terminal_wins
from predictq_sync.rollup import roll_up
from predictq_sync.skimming import EMITTED, time_or
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import batches, predictions, requests

__all__ = ["Store"]

log = logging.getLogger(__name__)

STUB_COLUMNS = ("id", "endpoint", "status", "instances_hash", "created_at")
BATCH_COLUMNS = tuple(column.name for column in batches.columns)


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`after_commit` is given what was committed, before it is acknowledged; what it raises, `handle` raises."""
        self.conflicts = 0
        """Predictions dropped because they answer other instances than those that their request's id stands for."""
        self._database = database
        self._names = names
        self._limits = limits
        self._after_commit = after_commit
        self._clock = clock
        self._unannounced: list[str] = []
        self._place_of: dict[str, tuple[str, bool]] = {}
        for name in endpoints:
            self._place_of[names.predictions(name)] = (name, True)
            self._place_of[names.shadow_predictions(name)] = (name, False)
        self._lock_requests = BulkInsert(database.dialect, requests, STUB_COLUMNS, _lock_known)
        self._insert = BulkInsert(database.dialect, predictions, PREDICTION_COLUMNS, first_terminal_wins)
        self._insert_batches = BulkInsert(database.dialect, batches, BATCH_COLUMNS, _first_stays)

    def limits(self) -> Limits:
        return self._limits

    def handle(self, records: Sequence[Record]) -> Outcome:
        verdicts: list[Verdict] = []
        rows: list[PredictionRow] = []
        hashes: list[str] = []
        batch_rows: list[tuple[Any, ...]] = []
        for record in records:
            try:
                event = self._event(record)
            except BadMessage as error:
                verdicts.append(Dead(str(error)))
                continue
            verdicts.append(_DONE)
            if event["type"] == "predictq.batch.v1":
                batch_rows.append(_batch_row(event))
            else:
                rows.append(_prediction_row(event, record, self._place_of[record.topic][1]))
                hashes.append(event["data"]["instances_hash"])
        now = self._clock()
        if rows or batch_rows:
            kept = self._commit(rows, hashes, batch_rows, wire_time(now))
            self._after_commit(kept)
        finished, self._unannounced = self._unannounced, []
        return Outcome(verdicts, announcement(self._names, finished, now))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - nothing stands for it
        return ()

    def tick(self) -> None:
        """Nothing to keep."""

    def _event(self, record: Record) -> PredictionEvent | BatchEvent:
        event = EMITTED.decode(record.value)
        endpoint, _ = self._place_of[record.topic]
        if event["data"]["endpoint"] != endpoint:
            raise BadMessage(f"data/endpoint: is {event['data']['endpoint']!r} on a topic of {endpoint!r}")
        return event

    def _commit(
        self,
        rows: Sequence[PredictionRow],
        hashes: Sequence[str],
        batch_rows: Sequence[tuple[Any, ...]],
        now: str,
    ) -> Sequence[PredictionRow]:
        """One transaction; the rows that answer what their request's id stands for."""
        stubs: dict[str, tuple[str, ...]] = {}
        for row, instances_hash in zip(rows, hashes, strict=True):
            if row.request_id not in stubs:
                stubs[row.request_id] = (row.request_id, row.endpoint, "queued", instances_hash, row.created_at)
        # In the order of ids, as every writer: two that want the same rows then wait for, and never lock, each other.
        ids = sorted(stubs)
        kept: Sequence[PredictionRow] = ()
        finished: Sequence[str] = ()
        dropped = 0
        with self._database.write() as connection:
            if ids:
                if self._lock_requests(connection, [stubs[identifier] for identifier in ids]):
                    bodies = bodies_of(connection, ids)
                else:
                    bodies = {identifier: (stub[1], stub[3]) for identifier, stub in stubs.items()}
                kept = [r for r, h in zip(rows, hashes, strict=True) if bodies[r.request_id] == (r.endpoint, h)]
                dropped = len(rows) - len(kept)
                kept = _one_each(kept)
            if kept:
                self._insert(connection, kept)
                finished = roll_up(connection, ids, now)
            if batch_rows:
                self._insert_batches(connection, batch_rows)
        # Kept until they are handed on: the rows of a batch that comes again have changed already.
        self._unannounced += finished
        if dropped:
            self.conflicts += dropped
            log.warning("%d prediction(s) dropped: their ids were taken by other instances or endpoints", dropped)
        return kept


def _one_each(rows: Sequence[PredictionRow]) -> Sequence[PredictionRow]:
    """Of the rows of one (request, deployment) the one that would be left if they came one by one."""
    last = {(row.request_id, row.deployment): row for row in rows}
    if len(last) == len(rows):
        return rows
    left: dict[tuple[str, str], PredictionRow] = {}
    for row in rows:
        first = left.setdefault((row.request_id, row.deployment), row)
        if first.status == "failed" and row.redrive > first.redrive:
            left[row.request_id, row.deployment] = row
    return list(left.values())


def _lock_known(insert: Any) -> Insert:
    """A stub for what is new; what is there is locked (PostgreSQL locks what its WHERE refuses, too).

    It writes nothing, and says so by its count, when all ids are there and stand for the same bodies.
    """
    new = insert.excluded
    other = or_(requests.c.instances_hash != new.instances_hash, requests.c.endpoint != new.endpoint)
    statement: Insert = insert.on_conflict_do_update(
        index_elements=[requests.c.id], set_={"status": requests.c.status}, where=other
    )
    return statement


def _first_stays(insert: Any) -> Insert:
    statement: Insert = insert.on_conflict_do_nothing()
    return statement


_DONE = Done()
_json = TypeAdapter(list[Any]).serializer.to_json  # NaN and infinities, which JSON has not, become null


def _prediction_row(event: PredictionEvent, record: Record, visible: bool) -> PredictionRow:
    data = event["data"]
    return PredictionRow(
        data["request_id"],
        data["deployment"],
        data["endpoint"],
        data["model_version"],
        data["status"],
        _json(data["outputs"]).decode(),
        _json(data["errors"]).decode() if data["errors"] else "[]",
        data["batch_id"],
        data["redrive"],
        visible,
        time_or(event["time"], record.published_at),
    )


def _batch_row(event: BatchEvent) -> tuple[Any, ...]:
    data = event["data"]
    return (event["id"], *(data[column] for column in BATCH_COLUMNS[1:]))  # type: ignore[literal-required] # columns are named as fields
