"""PostgreSQL restarted, its sessions ended, two services at once: nothing lost, nothing doubled."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.beside import running, running_process
from tests.integration.sync.conftest import (
    NAMES,
    Installation,
    eventually,
    installed,
    predicted,
    request,
    submitted,
)
from tests.servers.finding import private_server
from tests.servers.postgresql_server import PostgresqlServer
from tests.unit.sync.conftest import make_ledger, make_store
from tests.unit.sync.conftest import prediction as predicted_record
from tests.unit.sync.conftest import request as requested_record
from tests.unit.sync.databases import execute, fresh_url

from predictq.brokers import Done, Subscription
from predictq.errors import Unavailable
from predictq.ids import new_id
from predictq.messages import COMMIT, RequestEvent
from predictq_sync.database import Database
from predictq_sync.migrations import upgrade
from predictq_sync.redriving import Filter, find

CHUNK = 50


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    with private_server(PostgresqlServer) as one:
        yield one


def _published(installation: Installation, events: Sequence[RequestEvent], fault: Any) -> None:
    """Publish requests and their predictions, and let the fault happen in between."""
    for number, start in enumerate(range(0, len(events), CHUNK)):
        some = events[start : start + CHUNK]
        installation.publish(*map(submitted, some))
        installation.publish(*[predicted(e, deployment=name) for e in some for name in ("linear", "forest")])
        fault(number)


def _all_stored_once(installation: Installation, events: Sequence[RequestEvent]) -> None:
    with installation.database.read() as connection:
        requests = connection.exec_driver_sql("SELECT id, status FROM requests").all()
        predictions = connection.exec_driver_sql("SELECT request_id, deployment FROM predictions").all()
    assert dict(map(tuple, requests)) == {event["id"]: "succeeded" for event in events}
    assert Counter(map(tuple, predictions)) == Counter(
        (event["id"], name) for event in events for name in ("linear", "forest")
    )
    assert find(installation.database, Filter(), limit=10) == []


def _finished(installation: Installation) -> int:
    try:
        with installation.database.read() as connection:
            return int(
                connection.exec_driver_sql("SELECT count(*) FROM requests WHERE status <> 'queued'").scalar_one()
            )
    except Unavailable:
        return -1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_is_restarted_under_load_loses_and_doubles_nothing(server: PostgresqlServer, end: str) -> None:
    events = [request(new_id(), deployments=["linear", "forest"]) for _ in range(600)]

    def restart(number: int) -> None:
        if number in {2, 6}:
            eventually(lambda: _finished(installation) > number * CHUNK // 2)
            getattr(server, end)()
            server.start()

    with installed(server.url) as installation:
        upgrade(installation.database)
        with installation.sync(processes=2):
            _published(installation, events, restart)
            eventually(lambda: _finished(installation) == len(events))
        _all_stored_once(installation, events)


def test_sessions_that_are_ended_again_and_again_lose_and_double_nothing(tmp_path: Path) -> None:
    events = [request(new_id(), deployments=["linear", "forest"]) for _ in range(600)]
    heard: Counter[str] = Counter()
    with fresh_url("postgresql", tmp_path) as url, installed(url) as installation:
        hearing = installation.broker.consumer(
            Subscription(topics=(NAMES.commits,), member="listener", idle_seconds=0.1)
        )
        stopped = threading.Event()
        ended = 0

        def end_sessions() -> None:
            nonlocal ended
            # Now and then, at any moment of whatever transaction is under way.
            while not stopped.wait(0.05):
                execute(
                    url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'predictq'",
                )
                ended += 1

        with installation.sync(processes=2):
            with running(end_sessions, stop=stopped.set):
                _published(installation, events, lambda _: time.sleep(0.05))
                eventually(lambda: ended > 10)
            eventually(lambda: _finished(installation) == len(events))

            def all_heard() -> bool:
                batch = hearing.poll(1000, 1 << 20, 0.0)
                for record in batch:
                    heard.update(COMMIT.decode(record.value)["data"]["ids"])
                hearing.settle(batch, [Done()] * len(batch))
                return heard.keys() == {event["id"] for event in events}

            eventually(all_heard)
        hearing.close()
        _all_stored_once(installation, events)


def test_two_processes_that_write_the_same_ids_in_opposite_orders_wait_and_never_lock_each_other(
    tmp_path: Path,
) -> None:
    rounds = [[new_id() for _ in range(100)] for _ in range(15)]
    with fresh_url("postgresql", tmp_path) as url, ExitStack() as stack:
        processes = [stack.enter_context(_writing(url, name, back)) for name, back in (("linear", 0), ("forest", 1))]
        said: list[dict[str, list[str]]] = []
        for ids in rounds:
            # In step, so that both want the same rows at the same time.
            for process in processes:
                _tell(process, ids)
            for process in processes:
                assert _hear(process) == "ready"
            for process in processes:
                _tell(process, "go")
            said += [_hear(process) for process in processes]

        assert [failure for each in said for failure in each["failures"]] == []
        finished = Counter(request_id for each in said for request_id in each["announced"])
        assert finished == Counter(i for ids in rounds for i in ids), (
            "each is completed by one commit, and by one alone"
        )
        with closing(Database(url)) as database, database.read() as connection:
            deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            assert connection.exec_driver_sql(deadlocks).scalar() == 0
            assert connection.exec_driver_sql("SELECT DISTINCT status FROM requests").scalars().all() == ["succeeded"]
            assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar() == 2 * 15 * 100


@contextmanager
def _writing(url: str, deployment: str, backwards: int) -> Iterator[subprocess.Popen[str]]:
    """Ledger and store in a process of their own."""
    program = (
        "import sys; from tests.integration.sync.test_postgresql_faults import write_all; write_all(*sys.argv[1:])"
    )
    paths = (os.environ.get("PYTHONPATH"), str(Path(__file__).parents[3]))
    with running_process(
        [sys.executable, "-c", program, url, deployment, str(backwards)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.PIPE,
    ) as process:
        yield process


def _tell(process: subprocess.Popen[str], what: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{json.dumps(what)}\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def write_all(url: str, deployment: str, backwards: str) -> None:
    """For each line of ids: write their requests, then their predictions; print what came of it."""
    with closing(Database(url)) as database:
        ledger, store = make_ledger(database), make_store(database)
        for line in sys.stdin:
            ids: list[str] = sorted(json.loads(line), reverse=backwards == "1")
            requests = [requested_record(i, deployments=["linear", "forest"]) for i in ids]
            predictions = [predicted_record(i, deployment=deployment) for i in ids]
            print(json.dumps("ready"), flush=True)
            sys.stdin.readline()
            failures, announced = [], []
            try:
                outcomes = [ledger.handle(requests), store.handle(predictions)]
            except Unavailable as error:
                failures.append(str(error))
            else:
                also = [message for outcome in outcomes for message in outcome.also]
                announced += [i for message in also for i in COMMIT.decode(message.value)["data"]["ids"]]
            print(json.dumps({"failures": failures, "announced": announced}), flush=True)
