"""Writing to PostgreSQL: the same, with shorter ways for what is common.

Requests that nobody knows yet, and predictions each of which completes a request of its own, go by `COPY` straight into
their tables. Where that turns out to be something else a savepoint takes it back, and all go the general way.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection

from predictq_sync.arrays import array_literal
from predictq_sync.bodies import any_known
from predictq_sync.prediction_rows import PREDICTION_COLUMNS, PredictionRow, first_terminal_wins
from predictq_sync.rollup import NOTHING_FINISHED, Finished
from predictq_sync.statements import BulkInsert, Insert
from predictq_sync.tables import predictions, requests
from predictq_sync.writing.copying import NotNew, all_or_none, copy_into
from predictq_sync.writing.writer import REQUEST_COLUMNS, Entered, RequestRow, Stored, Writer

__all__ = ["PostgresqlWriter"]


class PostgresqlWriter(Writer):
    """See `Writer`."""

    connections = 2

    def __init__(self) -> None:
        super().__init__("postgresql")
        self._insert_and_complete = BulkInsert("postgresql", predictions, PREDICTION_COLUMNS, _returning)
        self._one_by_one = False
        """Whether each of the predictions last stored was the only one that its request was owed; the next are likely
        to be such too."""

    def enter(self, connection: Connection, rows: Sequence[RequestRow], now: str) -> Entered:
        if not any_known(connection, [row.id for row in rows]):
            with all_or_none(connection) as attempt:
                copy_into(connection, requests, REQUEST_COLUMNS, [(*row[:3], str(row.owed), *row[4:]) for row in rows])
            if attempt.succeeded:
                return Entered(0, NOTHING_FINISHED)
        return super().enter(connection, rows, now)

    def store(self, connection: Connection, rows: Sequence[PredictionRow], hashes: Sequence[str], now: str) -> Stored:
        if self._one_by_one:
            with all_or_none(connection) as attempt:
                finished = _complete(connection, rows, hashes, now)
                copy_into(connection, predictions, PREDICTION_COLUMNS, list(map(_fields, rows)))
            if attempt.succeeded:
                return Stored(rows, 0, finished)
        self._one_by_one = False
        return super().store(connection, rows, hashes, now)

    def _answer(self, connection: Connection, rows: Sequence[PredictionRow], now: str) -> Finished:
        ids = {row.request_id for row in rows if row.visible}
        if len(ids) < sum(row.visible for row in rows):
            return super()._answer(connection, rows, now)
        sql = _INSERT_AND_COMPLETE.format(insert=self._insert_and_complete.sql(connection))
        arrays = [array_literal(column) for column in zip(*rows, strict=True)]
        found = connection.exec_driver_sql(sql, (*arrays, now)).all()
        finished = [row[0] for row in found]
        self._one_by_one = len(finished) == len(rows)
        others = self._roll_up(connection, ids.difference(finished), now)
        return Finished([*finished, *others.ids], others.called_back or any(row[1] for row in found))


def _complete(connection: Connection, rows: Sequence[PredictionRow], hashes: Sequence[str], now: str) -> Finished:
    """Lock and complete requests that wait for nothing but the one of these answers that is theirs.

    Raises NotNew where one of them is something else.
    """
    given = sorted(
        (row.request_id, row.endpoint, row.deployment, row.status, instances_hash)
        for row, instances_hash in zip(rows, hashes, strict=True)
        if row.visible
    )
    ids = [each[0] for each in given]
    if len(set(ids)) < len(rows):
        raise NotNew
    arrays = [array_literal(column) for column in zip(*given, strict=True)]
    completed, called_back = connection.exec_driver_sql(_COMPLETE, (*arrays, now)).one()
    if completed < len(rows):
        raise NotNew
    return Finished(ids, called_back)


def _fields(row: PredictionRow) -> tuple[str | None, ...]:
    return (*row[:8], str(row.redrive), "t" if row.visible else "f", row.created_at)


def _returning(insert: Any) -> Insert:
    table = predictions.c
    changed = first_terminal_wins(insert).returning(table.request_id, table.deployment, table.status, table.visible)
    return cast("Insert", changed)


# Both upserts look for the rows of `requests` as the roll-up does, and for its reason.

# What is inserted is a request that nobody knows: it has no time of completion, is not counted, and so taken back.
_COMPLETE = """
WITH completed AS (
    INSERT INTO requests AS known (id, endpoint, deployments, owed, status, instances_hash, created_at)
    SELECT id, endpoint, json_build_array(deployment), 1, status, instances_hash, ''
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS given (id, endpoint, deployment, status, instances_hash)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = %s
    WHERE known.owed = 1 AND known.status = 'queued' AND known.deployments ->> 0 = excluded.deployments ->> 0
        AND known.instances_hash = excluded.instances_hash AND known.endpoint = excluded.endpoint
    RETURNING known.completed_at, known.callback
)
SELECT count(completed_at), count(callback) > 0 FROM completed
"""
# Whoever is owed one answer alone is finished by it, without another look at the predictions. Nothing is inserted into
# `requests`: the rows are there, and held.
_INSERT_AND_COMPLETE = """
WITH changed AS ({insert})
INSERT INTO requests AS known (id, endpoint, deployments, owed, status, instances_hash, created_at)
SELECT request_id, '', json_build_array(deployment), 1, status, '', '' FROM changed WHERE visible
ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = %s
WHERE known.owed = 1 AND known.deployments ->> 0 = excluded.deployments ->> 0 AND known.status <> excluded.status
RETURNING known.id, known.callback IS NOT NULL
"""
