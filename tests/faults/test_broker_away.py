"""The broker's file is locked, or its disk is full: clients are told, and nothing that was accepted is lost."""

import resource
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import apsw
import pytest
from tests.conftest import Installation, Process, eventually
from tests.faults.conftest import Count, Load, configure, filled, needs_root, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LOCKED_SECONDS = 10.0
COMMANDS = (("gateway",), ("sync",), ("worker", "sum"))


def check_refusals(load: Load) -> None:
    """Whoever was not accepted was told so, when to come again, and why."""
    assert set(load.refusals) == {503}
    for answer in load.problems:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"].isdigit()
        assert "broker" in answer.json()["detail"]


def test_a_locked_broker_refuses_and_recovers_by_itself(configured: Installation) -> None:
    processes = configured.started(*COMMANDS)
    load = Load(configured)
    with configured.client() as http, load.running(publishers=0):
        load.until_accepted(50)
        with closing(apsw.Connection(str(configured.broker_file))) as connection:
            connection.set_busy_timeout(30_000)
            connection.execute("BEGIN IMMEDIATE")
            back_at = time.monotonic() + LOCKED_SECONDS
            assert http.get("/healthz").status_code == 200
            assert http.get("/readyz").status_code == 503
            eventually(lambda: load.refusals[503] > 0, configured.logs)
            eventually(lambda: time.monotonic() >= back_at)
            connection.execute("ROLLBACK")
        load.until_accepted(50)
        assert http.get("/readyz").status_code == 200

    count = Count(configured, load)
    count.check()
    count.check_announced_once()
    check_refusals(load)
    assert [process.stop() for process in processes] == [0, 0, 0]


@contextmanager
def files_limited(processes: list[Process], file: Path) -> Iterator[None]:
    """The processes may not make any file longer than this one is now: as near to a full disk as any user can come."""
    before = {process.pid: resource.prlimit(process.pid, resource.RLIMIT_FSIZE) for process in processes}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (file.stat().st_size, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def go_through(installation: Installation, processes: list[Process], full: AbstractContextManager[None]) -> None:
    """Submit before, while and after nothing can be written."""
    load = Load(installation)
    with installation.client() as http, load.running():
        load.until_accepted(100)
        with full:
            eventually(lambda: load.refusals[503] > 20, installation.logs)
            assert http.get("/healthz").status_code == 200
            assert http.get("/readyz").status_code == 503
        load.until_accepted(100)
        assert http.get("/readyz").status_code == 200

    count = Count(installation, load)
    count.check()
    count.check_announced_once()
    load.refusals.pop(0, None)  # of the publisher
    check_refusals(load)
    assert [process.stop() for process in processes] == [0, 0, 0]


@needs_root  # where there is none, the next test stands in for it
def test_a_full_disk_refuses_and_goes_on_when_there_is_room(installation: Installation) -> None:
    folder = installation.broker_file.parent
    with small_disk(folder):
        configure(installation)
        processes = installation.started(*COMMANDS)
        go_through(installation, processes, filled(folder))


def test_files_that_may_not_grow_refuse_and_go_on_when_they_may(configured: Installation) -> None:
    processes = configured.started(*COMMANDS)
    log = configured.broker_file.with_name(f"{configured.broker_file.name}-wal")
    go_through(configured, processes, files_limited(processes, log))
