"""The ledger: every request that was accepted, and up to when it knows them all."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import and_

from predictq.brokers import Admin, Dead, Done, Message, Record, Verdict
from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.loop import Limits, Outcome
from predictq.names import Names
from predictq_sync.announcing import announcement
from predictq_sync.bodies import Body, bodies_of
from predictq_sync.database import Database
from predictq_sync.rollup import roll_up
from predictq_sync.skimming import REQUEST, time_or
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import requests
from predictq_sync.watermark import Watermark

__all__ = ["Ledger"]

log = logging.getLogger(__name__)

Row = tuple[str, str, str, int, str, str, str | None, str, str | None]
COLUMNS = (
    "id",
    "endpoint",
    "deployments",
    "owed",
    "status",
    "instances_hash",
    "metadata",
    "created_at",
    "deadline",
)
_DONE = Done()


class Ledger:
    """Writes requests. What no one can parse becomes a dead letter here, once for all groups."""

    def __init__(
        self,
        *,
        database: Database,
        names: Names,
        endpoints: Iterable[str],
        limits: Limits,
        admin: Callable[[], Admin],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.conflicts = 0
        """Requests dropped because their id was taken by another body or endpoint."""
        self._database = database
        self._names = names
        self._limits = limits
        self._clock = clock
        self._endpoint_of = {topic(name): name for name in endpoints for topic in (names.requests, names.bulk)}
        self._insert = BulkInsert(database.dialect, requests, COLUMNS, _unless_known)
        self._watermark = Watermark(
            database=database, admin=admin, group=names.ledger_group, topics=tuple(self._endpoint_of), clock=clock
        )

    def limits(self) -> Limits:
        return self._limits

    def handle(self, records: Sequence[Record]) -> Outcome:
        rows: dict[str, Row] = {}
        verdicts: list[Verdict] = []
        conflicts = 0
        for record in records:
            try:
                row = self._row(record)
            except BadMessage as error:
                verdicts.append(Dead(str(error)))
                continue
            verdicts.append(_DONE)
            conflicts += _body(rows.setdefault(row[0], row)) != _body(row)
        if not rows:
            return Outcome(verdicts)
        # In the order of ids, as every writer: two that want the same rows then wait for, and never lock, each other.
        ids = sorted(rows)
        now = self._clock()
        with self._database.write() as connection:
            if self._insert(connection, [rows[identifier] for identifier in ids]) != len(ids):
                known = bodies_of(connection, ids)
                conflicts += sum(known[identifier] != _body(row) for identifier, row in rows.items())
            finished = roll_up(connection, ids, wire_time(now))
        if conflicts:
            self.conflicts += conflicts
            log.warning("%d request(s) dropped: their ids were taken by other instances or endpoints", conflicts)
        return Outcome(verdicts, announcement(self._names, finished, now))

    def buried(self, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002 - nothing stands for it
        return ()

    def tick(self) -> None:
        self._watermark.advance()

    def _row(self, record: Record) -> Row:
        event = REQUEST.decode(record.value)
        data = event["data"]
        endpoint = self._endpoint_of[record.topic]
        if data["endpoint"] != endpoint:
            raise BadMessage(f"data/endpoint: is {data['endpoint']!r} on the topic of {endpoint!r}")
        deployments = data["deployments"]
        metadata = data.get("metadata")
        return (
            event["id"],
            endpoint,
            to_json(deployments).decode(),
            len(set(deployments)),
            "queued",
            data["instances_hash"],
            to_json(metadata).decode() if metadata else None,
            time_or(event["time"], record.published_at),
            event.get("expirytime"),
        )


def _body(row: Row) -> Body:
    return row[1], row[5]


def _unless_known(insert: Any) -> Insert:
    """New ids, and stubs that a prediction of the same instances left; nothing else changes a row."""
    new = insert.excluded
    written = ("deployments", "owed", "metadata", "created_at", "deadline")
    statement: Insert = insert.on_conflict_do_update(
        index_elements=[requests.c.id],
        set_={column: new[column] for column in written},
        where=and_(
            requests.c.owed.is_(None),
            requests.c.instances_hash == new.instances_hash,
            requests.c.endpoint == new.endpoint,
        ),
    )
    return statement
