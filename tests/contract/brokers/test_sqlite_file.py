"""What only a file can show: several processes, kills, and a disk that does not do what it should."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw
import pytest
from tests.beside import running_process
from tests.contract.brokers.conftest import Rig, eventually

from predictq.brokers import Done, Message, open_broker
from predictq.brokers.sqlite import connection, schema
from predictq.brokers.sqlite.broker import SqliteBroker
from predictq.errors import BrokerUnavailable, UserMistake

MEMBER = Path(__file__).parent / "member.py"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "var" / "deep" / "broker.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@contextmanager
def member(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    """A consumer process that has been killed at the end."""
    command = [sys.executable, str(MEMBER), rig.url, rig.prefix, "0.6"]
    with running_process(command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def test_another_process_is_served_and_serves(rig: Rig, url: str) -> None:
    store = rig.consumer(group=rig.store)
    with member(rig):
        rig.publish("a", "b")
        assert sorted(record.value for record in rig.served(store, 2)) == [b"a", b"b"]


@pytest.mark.timeout(90)
def test_kills_lose_nothing_and_double_nothing(rig: Rig, url: str) -> None:
    sent = 0

    def publish_until(condition: Callable[[], bool]) -> None:
        nonlocal sent
        while not condition():
            rig.publish(*[f"{i}" for i in range(sent, sent + 50)])
            sent += 50

    dice = random.Random(7)
    with member(rig):
        for _ in range(5):
            with member(rig) as victim:
                until = time.monotonic() + dice.uniform(0.1, 0.4)
                publish_until(lambda until=until: time.monotonic() > until)  # type: ignore[misc]
                victim.kill()
                victim.wait()
        eventually(lambda: rig.left() == 0, "everything is served")
    emitted = rig.served(rig.consumer(group=rig.store), sent)
    assert Counter(int(record.value) for record in emitted) == Counter(range(sent))
    assert rig.lag(rig.predictions, rig.store).ready == 0


def test_what_is_lost_while_a_poll_reads_is_not_handed_out(rig: Rig, file: Path) -> None:
    consumer = rig.consumer(claim_seconds=60.0)
    rig.nothing_for(consumer)
    rig.publish("mine", "theirs", topic=rig.bulk)
    rig.publish("theirs", topic=rig.requests)
    thief = apsw.Connection(str(file))
    thief.execute(
        "UPDATE offsets SET owner='thief', epoch=epoch+1 WHERE tp IN (SELECT tp FROM partitions WHERE topic=?)",
        (rig.requests,),
    )
    thief.close()
    batch = consumer.poll(10, 1 << 20, 0.0)
    assert {record.topic for record in batch} == {rig.bulk}
    assert consumer.settle(batch, [Done()] * len(batch)) == 0


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    holder = apsw.Connection(str(file))
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@contextmanager
def full(db: apsw.Connection) -> Iterator[None]:
    """No page may be added."""
    db.pragma("max_page_count", db.pragma("page_count"))
    yield
    db.pragma("max_page_count", 1 << 30)


@contextmanager
def read_only(db: apsw.Connection) -> Iterator[None]:
    db.pragma("query_only", True)
    yield
    db.pragma("query_only", False)


Trouble = Callable[[Path, apsw.Connection], AbstractContextManager[None]]
TROUBLES: dict[str, Trouble] = {
    "locked": lambda file, _: locked(file),
    "full": lambda _, db: full(db),
    "read-only": lambda _, db: read_only(db),
}


@pytest.fixture(params=sorted(TROUBLES))
def trouble(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 0.1)
    return TROUBLES[request.param]


def test_a_publish_that_fails_sends_nothing_and_works_later(trouble: Trouble, rig: Rig, file: Path) -> None:
    broker = open_broker(rig.url)
    assert isinstance(broker, SqliteBroker)
    producer = broker.producer()
    messages = [Message(rig.requests, bytes(10_000)) for _ in range(50)]
    with trouble(file, producer._connection.db), pytest.raises(BrokerUnavailable, match=r"broker\.db"):
        producer.publish(messages)
    assert rig.lag().ready == 0
    producer.publish(messages)
    assert rig.lag().ready == 50
    producer.close()


def test_a_settle_that_fails_changes_nothing_and_works_later(trouble: Trouble, url: str, file: Path) -> None:
    rig = Rig(url)
    consumer = rig.consumer()
    rig.publish("a", "b")
    batch = consumer.poll(10, 1 << 20, 0.0)
    verdicts = [Done(tuple(Message(rig.predictions, bytes(10_000)) for _ in range(30)))] * 2
    own = consumer._connection.db  # type: ignore[attr-defined]
    with trouble(file, own), pytest.raises(BrokerUnavailable):
        consumer.settle(batch, verdicts)
    assert (rig.lag().in_flight, rig.lag(rig.predictions, rig.store).ready) == (2, 0)
    assert consumer.settle(batch, verdicts) == 0
    assert (rig.lag().in_flight, rig.lag(rig.predictions, rig.store).ready) == (0, 60)
    rig.close()


def test_a_locked_file_is_not_healthy(rig: Rig, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 0.1)
    admin = open_broker(rig.url).admin()
    with locked(file):
        health = admin.health()
    assert not health.ok
    assert "lock" in health.detail
    assert admin.health().ok
    admin.close()


def test_a_file_of_something_else_is_refused(file: Path, url: str) -> None:
    file.parent.mkdir(parents=True)
    other = apsw.Connection(str(file))
    other.execute("CREATE TABLE notes(text)")
    other.close()
    with pytest.raises(UserMistake, match="database of something else"):
        open_broker(url).admin()


def test_a_file_that_is_no_database_is_refused(file: Path, url: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("no database at all\n" * 100)
    with pytest.raises(UserMistake, match="no SQLite file"):
        open_broker(url).producer()


def test_a_file_of_a_newer_predictq_is_refused(rig: Rig, file: Path) -> None:
    db = apsw.Connection(str(file))
    db.pragma("user_version", schema.VERSION + 1)
    db.close()
    with pytest.raises(UserMistake, match="newer predictq"):
        open_broker(rig.url).producer()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerUnavailable, match="cannot be opened"):
        open_broker(f"sqlite:///{tmp_path}/file/broker.db").producer()


def test_opening_a_broker_touches_nothing(file: Path, url: str) -> None:
    open_broker(url).close()
    assert not file.parent.exists()
