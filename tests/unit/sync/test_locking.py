"""Who writes the same requests at the same time on PostgreSQL: one waits for the other, and never both."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import psycopg.errors
import pytest
from tests.unit.sync.conftest import make_ledger, make_store, prediction, request, rows_of

from predictq.ids import new_id
from predictq.loop import Outcome
from predictq.messages import COMMIT
from predictq_sync import store as module
from predictq_sync.database import Database

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'predictq'
"""


@pytest.mark.parametrize("handler", ["ledger", "store", "store that splits"])
def test_rows_are_locked_in_the_order_of_ids_however_they_come(
    postgresql: Database, handler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One to wait for, between two that come in another order.
    first, held, last = sorted(new_id() for _ in range(3))
    make_ledger(postgresql).handle([request(request_id) for request_id in (first, held, last)])
    if handler == "store that splits":
        monkeypatch.setattr(module, "SPLIT_ROWS", 1)
        monkeypatch.setattr(module, "hash", lambda _: 0, raising=False)
    made = make_ledger(postgresql) if handler == "ledger" else make_store(postgresql)
    make = request if handler == "ledger" else prediction

    with ThreadPoolExecutor(1) as thread, _holding(postgresql, held) as holder:
        done = thread.submit(made.handle, [make(request_id) for request_id in (last, held, first)])
        _until_waiting(postgresql, done)
        assert _is_locked(postgresql, first)
        assert not _is_locked(postgresql, last)
        holder.rollback()
        done.result(60)


def test_of_two_answers_at_once_the_later_commit_completes_the_request(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = new_id()
    make_ledger(postgresql).handle([request(request_id, deployments=["linear", "forest"])])
    written, go_on = threading.Event(), threading.Event()
    first, second = make_store(postgresql), make_store(postgresql)
    write = first._writer.store

    def held(*arguments: Any) -> Any:
        stored = write(*arguments)
        written.set()
        assert go_on.wait(60)
        return stored

    monkeypatch.setattr(first._writer, "store", held)
    with ThreadPoolExecutor(2) as threads:
        earlier = threads.submit(first.handle, [prediction(request_id, deployment="linear")])
        assert written.wait(60)
        later = threads.submit(second.handle, [prediction(request_id, deployment="forest")])
        try:
            _until_waiting(postgresql, later)
        finally:
            go_on.set()

    assert [_announced(each.result()) for each in (earlier, later)] == [[], [request_id]]
    assert [row["status"] for row in rows_of(postgresql, "requests", "id")] == ["succeeded"]


@contextmanager
def _holding(database: Database, request_id: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that holds the row, until it is rolled back."""
    with _session(database) as session:
        session.execute("SELECT FROM requests WHERE id = %s FOR UPDATE", (request_id,))
        try:
            yield session
        finally:
            session.rollback()


def _is_locked(database: Database, request_id: str) -> bool:
    with _session(database) as session:
        try:
            session.execute("SELECT FROM requests WHERE id = %s FOR UPDATE NOWAIT", (request_id,))
        except psycopg.errors.LockNotAvailable:
            return True
        finally:
            session.rollback()
        return False


def _until_waiting(database: Database, done: "Future[Outcome]") -> None:
    deadline = time.monotonic() + 60
    with _session(database) as session:
        session.autocommit = True
        while session.execute(WAITING).fetchone() == (0,):
            assert not done.done(), "it did not wait for whoever holds the row"
            assert time.monotonic() < deadline, "nobody waits"


def _session(database: Database) -> psycopg.Connection[Any]:
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url)


def _announced(outcome: Outcome) -> list[str]:
    return [request_id for message in outcome.also for request_id in COMMIT.decode(message.value)["data"]["ids"]]
