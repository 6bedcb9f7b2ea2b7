"""The bulk writes of ledger and store: a few statements of many rows, and what they need to know in between."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, or_

from predictq_sync.bodies import Body, bodies_of
from predictq_sync.prediction_rows import PREDICTION_COLUMNS, PredictionRow, first_terminal_wins
from predictq_sync.rollup import NOTHING_FINISHED, Finished, roll_up
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import predictions, requests

__all__ = ["REQUEST_COLUMNS", "Entered", "RequestRow", "Stored", "Writer", "writer_of"]


class RequestRow(NamedTuple):
    """A row of `requests` as the ledger enters it: all but what roll-ups write."""

    id: str
    endpoint: str
    deployments: str
    owed: int
    status: str
    instances_hash: str
    metadata: str | None
    created_at: str
    deadline: str | None
    callback: str | None


REQUEST_COLUMNS = RequestRow._fields
STUB_COLUMNS = ("id", "endpoint", "status", "instances_hash", "created_at")


class Entered(NamedTuple):
    """What became of requests."""

    conflicts: int
    """Those whose id stands for other instances or another endpoint; nothing was written for them."""
    finished: Finished
    """Those all of whose predictions had come before."""


class Stored(NamedTuple):
    """What became of predictions."""

    kept: Sequence[PredictionRow]
    """Those that answer what their request's id stands for, whether or not they were the first answer."""
    dropped: int
    finished: Finished


class Writer:
    """Called within a transaction that writes. Locks rows of `requests` in the order of their ids."""

    connections = 1
    """How many transactions of a process, with different ids each, are faster together than one after the other."""

    def __init__(self, dialect: str) -> None:
        self._enter = BulkInsert(dialect, requests, REQUEST_COLUMNS, _unless_known)
        self._insert_stubs = BulkInsert(dialect, requests, STUB_COLUMNS, _unless_the_same)
        self._insert = BulkInsert(dialect, predictions, PREDICTION_COLUMNS, first_terminal_wins)

    def enter(self, connection: Connection, rows: Sequence[RequestRow], now: str) -> Entered:
        """Write 1..N requests of different ids, in the order of ids, and roll them up.

        New ids, and stubs that a prediction of the same body left; nothing else changes a row.
        """
        conflicts = 0
        ids = [row.id for row in rows]
        if self._enter(connection, rows) != len(rows):
            known = bodies_of(connection, ids)
            conflicts = sum(known[row.id] != (row.endpoint, row.instances_hash) for row in rows)
        return Entered(conflicts, roll_up(connection, ids, now))

    def store(self, connection: Connection, rows: Sequence[PredictionRow], hashes: Sequence[str], now: str) -> Stored:
        """Write 1..N predictions, as if they came one by one, and roll up their requests.

        `hashes` are those of the instances that they answer. An id that nothing stands for yet is given a stub.
        """
        stubs: dict[str, tuple[str, ...]] = {}
        for row, instances_hash in zip(rows, hashes, strict=True):
            if row.request_id not in stubs:
                stubs[row.request_id] = (row.request_id, row.endpoint, "queued", instances_hash, row.created_at)
        ids = sorted(stubs)
        bodies: dict[str, Body]
        changed = self._insert_stubs(connection, [stubs[identifier] for identifier in ids])
        if changed:
            bodies = bodies_of(connection, ids)
        else:
            bodies = {identifier: (stub[1], stub[3]) for identifier, stub in stubs.items()}
        kept = [r for r, h in zip(rows, hashes, strict=True) if bodies[r.request_id] == (r.endpoint, h)]
        dropped = len(rows) - len(kept)
        if not kept:
            return Stored(kept, dropped, NOTHING_FINISHED)
        kept = _one_each(kept)
        if changed == len(ids) and not dropped:
            # Stubs all of them, which owe nothing yet.
            self._insert(connection, kept)
            return Stored(kept, dropped, NOTHING_FINISHED)
        return Stored(kept, dropped, self._answer(connection, kept, now))

    def _answer(self, connection: Connection, rows: Sequence[PredictionRow], now: str) -> Finished:
        """Insert them and roll up their requests, whose rows are held."""
        self._insert(connection, rows)
        return self._roll_up(connection, {row.request_id for row in rows if row.visible}, now)

    def _roll_up(self, connection: Connection, ids: Collection[str], now: str) -> Finished:
        return roll_up(connection, sorted(ids), now)


def writer_of(dialect: str) -> Writer:
    """The writer for a database of that dialect."""
    if dialect != "postgresql":
        return Writer(dialect)
    from predictq_sync.writing.postgresql import PostgresqlWriter  # noqa: PLC0415 - its driver is an extra

    return PostgresqlWriter()


def _one_each(rows: list[PredictionRow]) -> list[PredictionRow]:
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


def _unless_known(insert: Any) -> Insert:
    new = insert.excluded
    written = ("deployments", "owed", "metadata", "created_at", "deadline", "callback")
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


def _unless_the_same(insert: Any) -> Insert:
    """A stub for what is new, and a lock on what is there; nothing is written, and the count says so, when all ids
    stand for the same bodies.
    """
    new = insert.excluded
    other = or_(requests.c.instances_hash != new.instances_hash, requests.c.endpoint != new.endpoint)
    statement: Insert = insert.on_conflict_do_update(
        index_elements=[requests.c.id], set_={"status": requests.c.status}, where=other
    )
    return statement
