"""The database is locked, or gone, for half a minute under load: everything waits, and nothing is charged for it."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from tests.conftest import Installation, eventually
from tests.faults.conftest import Count, Load, configure, filled, needs_root, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

AWAY_SECONDS = 30.0


@contextmanager
def locked(installation: Installation) -> Iterator[None]:
    """Another program writes, and does not come to an end."""
    with closing(sqlite3.connect(installation.database_file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def gone(installation: Installation) -> Iterator[None]:
    """The disk that it lies on is not there."""
    folder = installation.database_file.parent
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    yield
    elsewhere.rename(folder)


@dataclass(kw_only=True)
class Outage:
    """What was seen while the database was away, and what had become of everything afterwards."""

    count: Count
    accepted: int
    read: httpx.Response
    waited: httpx.Response
    sync_log: str


def go_through(installation: Installation, away: Callable[[Installation], AbstractContextManager[None]]) -> Outage:
    configure(installation)
    try:
        sync, _, _ = installation.started(("sync",), ("worker", "sum"), ("gateway",))
        load = Load(installation)
        with installation.client() as http, load.running(clients=1, pause_seconds=0.1):
            load.until_accepted(50)
            with away(installation):
                back_at = time.monotonic() + AWAY_SECONDS
                before = len(load.accepted)
                eventually(lambda: "next try in" in sync.log, installation.logs)
                waited = load.submit(http, wait_seconds=1)
                read = http.get(waited.headers["location"])
                eventually(lambda: time.monotonic() >= back_at)
                accepted = len(load.accepted) - before
            load.until_accepted(50)
        count = Count(installation, load)
        assert sync.stop() == 0, sync.log
    finally:
        installation.clear()
    return Outage(count=count, accepted=accepted, read=read, waited=waited, sync_log=sync.log)


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outage]:
    """Both, side by side: each takes half a minute of waiting."""
    kinds = {"locked": locked, "gone": gone}
    with ThreadPoolExecutor() as pool:
        running = {
            name: pool.submit(go_through, Installation(tmp_path_factory.mktemp(name)), away)
            for name, away in kinds.items()
        }
    return {name: future.result() for name, future in running.items()}


@pytest.mark.parametrize("kind", ["locked", "gone"])
def test_everything_is_stored_afterwards_and_no_attempt_was_spent(outages: dict[str, Outage], kind: str) -> None:
    count = outages[kind].count

    count.check()
    count.check_announced_once()
    assert count.copies == [], "nothing was isolated either"


@pytest.mark.parametrize("kind", ["locked", "gone"])
def test_accepting_goes_on_meanwhile_without_the_database(outages: dict[str, Outage], kind: str) -> None:
    outage = outages[kind]

    assert outage.accepted > 50
    assert outage.count.load.refusals == {}
    assert outage.waited.status_code == 202


def test_readers_do_not_wait_for_the_lock(outages: dict[str, Outage]) -> None:
    read = outages["locked"].read

    assert (read.status_code, read.json()["status"]) == (200, "queued")


def test_a_reader_is_told_that_the_database_is_gone(outages: dict[str, Outage]) -> None:
    read = outages["gone"].read

    assert read.status_code == 503
    assert read.headers["content-type"] == "application/problem+json"
    assert read.headers["retry-after"].isdigit()


@needs_root
def test_a_full_disk_holds_up_what_it_cannot_store_and_loses_none_of_it(installation: Installation) -> None:
    folder = installation.database_file.parent
    with small_disk(folder):
        configure(installation)
        sync, _, _ = installation.started(("sync",), ("worker", "sum"), ("gateway",))
        load = Load(installation)
        with load.running(clients=1):
            load.until_accepted(50)
            with filled(folder):
                eventually(lambda: "full" in sync.log and sync.log.count("next try in") > 10, installation.logs)
                load.until_accepted(50)

        count = Count(installation, load)
        count.check()
        count.check_announced_once()
        assert load.refusals == {}
        assert sync.stop() == 0, sync.log
        installation.clear()
