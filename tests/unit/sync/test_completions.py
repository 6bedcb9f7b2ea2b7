"""The order of completions: nothing is missed and nothing comes twice, however it is read."""

import threading
import time

import pytest
from tests.unit.sync.conftest import NOW, prediction, request, rows_of

from predictq.clock import wire_time
from predictq.ids import new_id
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.reading import Reader
from predictq_sync.store import Store
from predictq_sync.streams.completions import START, CompletionLog, Position
from predictq_sync.streams.forgetting import forget_completions, old_completions
from predictq_sync.streams.recording import CompletionRecorder

DEADLINE_SECONDS = 20.0


def record(database: Database, *ids: str, endpoint: str = "tumours", at: float = NOW) -> None:
    write(database, *ids, endpoint=endpoint, at=at)
    settle(database)


def write(database: Database, *ids: str, endpoint: str = "tumours", at: float = NOW) -> None:
    with database.write() as connection:
        CompletionRecorder(database.dialect)(connection, ids, dict.fromkeys(ids, endpoint), wire_time(at))


def settle(database: Database) -> None:
    """Wait for what began before on the same server, by tests of other databases too: it holds the order up."""
    if database.dialect == "sqlite":
        return
    with database.write() as connection:
        now = connection.exec_driver_sql("SELECT pg_current_xact_id()::text::bigint").scalar_one()
    oldest = 0
    deadline = time.monotonic() + DEADLINE_SECONDS
    while oldest <= now:
        assert time.monotonic() < deadline, "a transaction on this server has no end"
        time.sleep(0.005)
        with database.read() as connection:
            query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            oldest = connection.exec_driver_sql(query).scalar_one()


def read_all(log: CompletionLog, position: Position, *, most: int, endpoint: str = "tumours") -> list[str]:
    found: list[str] = []
    while (following := log.after(endpoint, position, most)).ids:
        assert len(following.ids) <= most
        found += [request_id for request_id, _ in following.ids]
        position = following.ids[-1][1]
    assert following.lost_until is None
    return found


def names(count: int) -> list[str]:
    return [f"request-{number}" for number in range(count)]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_every_completion_comes_once_in_its_order(database: Database, most: int) -> None:
    ids = names(30)
    for start in range(0, 30, 10):
        record(database, *ids[start : start + 10])
        record(database, f"other-{start}", endpoint="flowers")

    log = CompletionLog(database)
    assert read_all(log, START, most=most) == ids
    assert read_all(log, START, most=most, endpoint="flowers") == ["other-0", "other-10", "other-20"]
    assert read_all(log, START, most=most, endpoint="nothing") == []


def test_a_commit_of_any_size_is_read_from_any_place(database: Database) -> None:
    ids = names(1234)
    record(database, *ids)
    log = CompletionLog(database)
    assert read_all(log, START, most=100) == ids

    position = START
    for number in range(0, 1234, 123):
        following = log.after("tumours", position, 123)
        position = Position.parse(str(following.ids[-1][1])) or START
        assert read_all(log, position, most=500) == ids[number + 123 :]


def test_the_end_is_behind_all_that_was_completed(database: Database) -> None:
    log = CompletionLog(database)
    assert log.ends(["tumours", "flowers"]) == {"tumours": START, "flowers": START}
    record(database, *names(3))
    end = log.ends(["tumours"])["tumours"]
    assert not log.after("tumours", end, 10).ids
    record(database, "later")
    assert read_all(log, end, most=10) == ["later"]
    assert log.ends(["tumours"])["tumours"] > end


@pytest.mark.parametrize("text", ["", "1", "1-2", "1-2-3-4", "-1-2-3", "a-b-c", "1-2-3 ", "٣-1-1", "9" * 19 + "-1-1"])
def test_a_position_is_three_numbers(text: str) -> None:
    assert Position.parse(text) is None


def test_whoever_completes_a_request_records_it(database: Database, ledger: Ledger, store: Store) -> None:
    answered, late, cancelled, redriven, both = (new_id() for _ in range(5))
    ledger.handle([request(answered), request(cancelled), request(redriven)])
    ledger.handle([request(both, deployments=["linear", "forest"])])
    store.handle([prediction(answered), prediction(late), prediction(redriven, status="failed"), prediction(both)])
    ledger.handle([request(late)])
    Reader(database).cancel(cancelled, NOW)
    store.handle([prediction(redriven, redrive=1), prediction(answered), prediction(both, deployment="forest")])

    settle(database)
    found = read_all(CompletionLog(database), START, most=2)
    assert sorted(found[:2]) == sorted([answered, redriven])
    assert found[2:4] == [late, cancelled]
    assert sorted(found[4:]) == sorted([redriven, both])


def test_what_is_rolled_back_was_never_there(database: Database) -> None:
    with database.write() as connection:
        CompletionRecorder(database.dialect)(connection, ["gone"], {"gone": "tumours"}, wire_time(NOW))
        connection.rollback()
    record(database, "here")
    assert read_all(CompletionLog(database), START, most=10) == ["here"]


def test_a_transaction_that_commits_late_is_waited_for(postgresql: Database) -> None:
    """It took its place before the others did; whoever had read on would never see it."""
    log = CompletionLog(postgresql)
    written, may_commit = threading.Event(), threading.Event()

    def late() -> None:
        with postgresql.write() as connection:
            recorder = CompletionRecorder("postgresql")
            recorder(connection, ["late"], {"late": "tumours"}, wire_time(NOW))
            written.set()
            assert may_commit.wait(DEADLINE_SECONDS)

    thread = threading.Thread(target=late)
    thread.start()
    assert written.wait(DEADLINE_SECONDS)
    write(postgresql, "soon")
    try:
        assert read_all(log, START, most=10) == []
        assert log.ends(["tumours"]) == {"tumours": START}
    finally:
        may_commit.set()
        thread.join(DEADLINE_SECONDS)
    settle(postgresql)
    assert read_all(log, START, most=10) == ["late", "soon"]


def test_a_reader_behind_what_is_kept_is_told_where_it_goes_on(database: Database) -> None:
    record(database, *names(4), at=NOW - 100)
    record(database, "other", endpoint="flowers", at=NOW - 100)
    record(database, "old", at=NOW - 99)
    record(database, "young", at=NOW)
    log = CompletionLog(database)
    first = log.after("tumours", START, 1).ids[0][1]
    last_old = log.after("tumours", START, 5).ids[4][1]

    before = wire_time(NOW - 50)
    with database.write() as connection:
        assert old_completions(connection, before) == 3
        assert forget_completions(connection, before, 100) == 3
        assert forget_completions(connection, before, 100) == 0
        assert old_completions(connection, before) == 0

    for behind in (START, first):
        following = log.after("tumours", behind, 10)
        assert not following.ids
        assert following.lost_until == last_old
    assert read_all(log, last_old, most=10) == ["young"]
    assert len(rows_of(database, "completions", "number")) == 3


def test_retention_goes_on_chunk_by_chunk_and_keeps_the_order(database: Database) -> None:
    for number in range(7):
        record(database, f"old-{number}", at=NOW - 100)
    before = wire_time(NOW - 50)
    gone = []
    for _ in range(5):
        with database.write() as connection:
            gone.append(forget_completions(connection, before, 3))
    assert gone == [3, 3, 1, 0, 0]

    log = CompletionLog(database)
    end = log.ends(["tumours"])["tumours"]
    record(database, "new")
    assert read_all(log, end, most=10) == ["new"]
    assert log.after("tumours", START, 10).lost_until == end
