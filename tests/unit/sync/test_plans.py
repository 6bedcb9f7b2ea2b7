"""A commit reads the rows that it is about: on PostgreSQL whatever the server believes of its tables."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection
from tests.unit.sync.conftest import make_ledger, make_store, prediction, request

from predictq.brokers import Record
from predictq.ids import new_id
from predictq.loop import Handler
from predictq_sync.database import Database
from predictq_sync.reading import Reader

OLD, NEW = 3000, 20
MOST_READS = 10
"""Of one table, for each record: of its keys in several statements, and of earlier versions of the row."""
READ = """
SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables
WHERE relname IN ('requests', 'predictions')
"""
OTHERS = [[3.0, 4.0]]

Make = Callable[[str], Record]
Step = tuple[Callable[[Database], Handler], Make]
LEDGER: Step = (make_ledger, request)
STORE: Step = (make_store, prediction)
OWED_TWO: Step = (make_ledger, lambda request_id: request(request_id, deployments=["linear", "forest"]))
FOREST: Step = (make_store, lambda request_id: prediction(request_id, deployment="forest"))
OTHER_REQUEST: Step = (make_ledger, lambda request_id: request(request_id, instances=OTHERS))
OTHER_ANSWER: Step = (make_store, lambda request_id: prediction(request_id, instances=OTHERS))
FAILED: Step = (make_store, lambda request_id: prediction(request_id, status="failed", outputs=[]))
REDRIVEN: Step = (make_store, lambda request_id: prediction(request_id, redrive=1))

HISTORIES: dict[str, tuple[Sequence[Step], Step]] = {
    "new requests": ((STORE,), LEDGER),
    "the ledger after the store": ((STORE,), LEDGER),
    "the store after the ledger": ((LEDGER,), STORE),
    "the last of two answers": ((OWED_TWO, STORE), FOREST),
    "the ledger after two answers": ((STORE, FOREST), OWED_TWO),
    "a redrive": ((LEDGER, FAILED), REDRIVEN),
    "requests again": ((STORE, LEDGER), LEDGER),
    "answers again": ((LEDGER, STORE), STORE),
    "requests of other instances": ((STORE,), OTHER_REQUEST),
    "answers to other instances": ((LEDGER,), OTHER_ANSWER),
}


@pytest.mark.parametrize("analyzed", ["never", "while empty", "after the first step", "at last"])
@pytest.mark.parametrize("history", HISTORIES)
def test_what_a_commit_reads_does_not_grow_with_the_tables(postgresql: Database, history: str, analyzed: str) -> None:
    steps, last = HISTORIES[history]
    old, new = ([new_id() for _ in range(count)] for count in (OLD, NEW))
    for name in ("requests", "predictions"):
        _execute(postgresql, f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
    if analyzed == "while empty":
        _execute(postgresql, "ANALYZE")
    for number, step in enumerate(steps):
        _play(postgresql, step, old if history == "new requests" else [*old, *new])
        if analyzed == "after the first step" and number == 0:
            _execute(postgresql, "ANALYZE")
    _play(postgresql, last, old)
    if analyzed == "at last":
        _execute(postgresql, "ANALYZE")

    read: Counter[str] = Counter()

    def begun(connection: Connection) -> None:
        # Transactions before it may not be reported yet, and are among the figures then.
        read.subtract(_read_so_far(connection))

    def ending(connection: Connection) -> None:
        read.update(_read_so_far(connection))

    handler, records = last[0](postgresql), [last[1](request_id) for request_id in new]
    sqlalchemy.event.listen(postgresql.engine, "begin", begun)
    sqlalchemy.event.listen(postgresql.engine, "commit", ending)
    # Twice: what the first of them finds may send the second another way.
    for half in (records[: NEW // 2], records[NEW // 2 :]):
        handler.handle(half)

    assert set(read) == {"requests", "predictions"}
    assert max(read.values()) <= MOST_READS * NEW, read


@pytest.mark.parametrize("history", HISTORIES)
def test_no_commit_and_no_reading_goes_through_a_table_on_sqlite(sqlite_database: Database, history: str) -> None:
    steps, last = HISTORIES[history]
    ids = [new_id() for _ in range(NEW)]
    for step in steps:
        _play(sqlite_database, step, ids)
    plans: list[str] = []

    def asked(connection: Connection, _cursor: Any, sql: str, values: Any, *_: object) -> None:
        found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {sql}", values)
        plans.extend(plan for *_, plan in found.fetchall())

    sqlalchemy.event.listen(sqlite_database.engine, "before_cursor_execute", asked)
    _play(sqlite_database, last, ids)
    assert len(Reader(sqlite_database).requests(ids)) == NEW

    assert [plan for plan in plans if plan.startswith(("SCAN requests", "SCAN predictions"))] == []
    assert any(plan.startswith("SEARCH requests USING PRIMARY KEY") for plan in plans)


def _read_so_far(connection: Connection) -> dict[str, int]:
    return {row.relname: row.rows for row in connection.exec_driver_sql(READ)}


def _play(database: Database, step: Step, ids: Sequence[str]) -> None:
    handler, make = step
    made = handler(database)
    for start in range(0, len(ids), 500):
        made.handle([make(request_id) for request_id in ids[start : start + 500]])


def _execute(database: Database, statement: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(statement)
