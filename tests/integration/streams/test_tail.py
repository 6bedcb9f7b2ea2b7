"""The tail of an endpoint: every completion once, in one order, at whatever gateway."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx_sse import ServerSentEvent
from tests.beside import running
from tests.integration.streams.conftest import DEADLINE_SECONDS, Served, Site, eventually
from tests.unit.sync.conftest import make_store

from predictq.clock import wire_time
from predictq_sync.streams.completions import START
from predictq_sync.streams.forgetting import forget_completions
from predictq_sync.streams.recording import CompletionRecorder

TAIL = "/v1/endpoints/tumours/events"
BEGINNING = str(START)


def take(events: Iterator[ServerSentEvent], count: int) -> list[ServerSentEvent]:
    return [next(events) for _ in range(count)]


def ids_of(events: list[ServerSentEvent]) -> list[str]:
    return [json.loads(event.data)["id"] for event in events]


def begun(served: Served, count: int = 1) -> None:
    """Wait until so many clients follow."""
    eventually(lambda: len(served.gateway._streams._tails._followers.get("tumours", ())) == count)


def test_what_is_finished_from_now_on_is_told(site: Site) -> None:
    gateway = site.serve()
    site.finish(site.accept(2))
    ids = site.accept(3)
    with gateway.events(TAIL) as events:
        begun(gateway)
        site.finish(ids[:2], status="succeeded")
        site.finish(ids[2:], status="failed", outputs=[])
        told = take(events, 3)

    assert sorted(ids_of(told[:2])) == sorted(ids[:2])
    assert ids_of(told[2:]) == ids[2:]
    assert [event.event for event in told] == ["prediction.succeeded", "prediction.succeeded", "prediction.failed"]
    assert json.loads(told[2].data) == gateway.get(f"/v1/predictions/{ids[2]}").json()


def test_whoever_was_cut_off_before_the_first_event_comes_back_to_its_place(site: Site) -> None:
    gateway = site.serve()
    site.finish(site.accept())
    with gateway.events(TAIL) as _:
        pass
    answer = _first_lines(gateway)
    place = next(line.removeprefix("id: ") for line in answer if line.startswith("id: "))
    ids = site.accept(2)
    site.finish(ids)
    with gateway.events(TAIL, heard=place) as events:
        assert sorted(ids_of(take(events, 2))) == sorted(ids)


def _first_lines(gateway: Served) -> list[str]:
    address = urlsplit(gateway.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), DEADLINE_SECONDS) as connection:
        connection.sendall(f"GET {TAIL} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        text = ""
        while "\nid: " not in text or not text.endswith("\n\r\n"):
            text += connection.recv(65536).decode()
    return text.replace("\r", "").splitlines()


@pytest.mark.timeout(180)
def test_a_client_that_changes_gateways_misses_nothing_and_hears_nothing_twice(site: Site) -> None:
    """Two sync processes commit, one of them late now and then; announcements get lost."""
    gateways = [site.serve(), site.serve()]
    count, writers = 1200, 2
    ids = [site.accept(count // writers) for _ in range(writers)]
    draw = random.Random(7)
    steps = [[draw.randint(1, 40) for _ in range(count)] for _ in range(writers)]
    dropped = random.Random(11)

    def write(number: int) -> None:
        store = make_store(site.database)
        left = ids[number]
        for step in steps[number]:
            if not left:
                return
            some, left = left[:step], left[step:]
            site.finish(some, announced=dropped.random() < 0.5, store=store)

    told: list[ServerSentEvent] = []
    heard = BEGINNING
    switches = random.Random(13)
    with running(*(lambda number=each: write(number) for each in range(writers))):
        turn = 0
        while len(told) < count:
            turn += 1
            with gateways[turn % 2].events(TAIL, heard=heard) as events:
                some = take(events, min(switches.randint(1, 150), count - len(told)))
            told += some
            heard = some[-1].id
    with gateways[0].events(TAIL) as events:
        begun(gateways[0])
        last = site.accept()
        site.finish(last)
        assert ids_of(take(events, 1)) == last

    assert sorted(ids_of(told)) == sorted(ids[0] + ids[1])
    assert turn > 10


@contextmanager
def held_open(site: Site, late: list[str]) -> Iterator[threading.Event]:
    """Within the block, from when it has written, a transaction that completes this one; it commits at the signal."""
    if site.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody commits late")
    written, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        recorder = CompletionRecorder("postgresql")
        with site.database.write() as connection:
            connection.exec_driver_sql("UPDATE requests SET status = 'succeeded' WHERE id = %s", (late[0],))
            recorder(connection, late, {late[0]: "tumours"}, wire_time(time.time()))
            written.set()
            assert may_commit.wait(DEADLINE_SECONDS)

    with running(hold, stop=may_commit.set):
        assert written.wait(DEADLINE_SECONDS)
        yield may_commit


def test_what_waits_for_an_older_transaction_is_told_soon_after_it(site: Site) -> None:
    gateway = site.serve(poll_seconds=10 * DEADLINE_SECONDS, heartbeat_seconds=10 * DEADLINE_SECONDS)
    late, soon = site.accept(), site.accept()
    with held_open(site, late) as may_commit, gateway.events(TAIL) as events:
        begun(gateway)
        site.finish(soon)
        time.sleep(0.2)  # it was announced, and looked for in vain
        may_commit.set()
        assert ids_of(take(events, 2)) == late + soon


def test_a_transaction_that_was_held_open_is_not_passed_over(site: Site) -> None:
    one, other = site.serve(), site.serve()
    late, soon = site.accept(), site.accept()
    with held_open(site, late) as may_commit, ExitStack() as stack:
        streams = [stack.enter_context(each.events(TAIL, heard=BEGINNING)) for each in (one, other)]
        site.finish(soon)
        for each in (one, other):
            begun(each)
        may_commit.set()
        for events in streams:
            assert ids_of(take(events, 2)) == late + soon


def test_a_lost_announcement_costs_a_poll_and_no_event(site: Site) -> None:
    gateway = site.serve()
    ids = site.accept(2)
    with gateway.events(TAIL) as events:
        begun(gateway)
        for each in ids:
            site.finish([each], announced=False)
            assert ids_of(take(events, 1)) == [each]


def test_a_gateway_that_stops_ends_its_streams_and_the_next_one_goes_on(site: Site) -> None:
    first = site.serve()
    ids = site.accept(3)
    with first.events(TAIL) as events:
        begun(first)
        site.finish(ids[:1])
        [heard] = take(events, 1)
        first.stop()
        assert list(events) == []
    site.finish(ids[1:2])
    second = site.serve()
    with second.events(f"{TAIL}?last_event_id={heard.id}") as events:
        site.finish(ids[2:])
        assert ids_of(take(events, 2)) == ids[1:]


def test_a_client_that_fell_behind_what_is_kept_is_told_and_goes_on(site: Site) -> None:
    gateway = site.serve()
    ids = site.accept(3)
    site.finish(ids[:1])
    site.finish(ids[1:2])
    with site.database.write() as connection:
        assert forget_completions(connection, wire_time(time.time() + 1e9), 100) == 2
    site.finish(ids[2:])
    with gateway.events(TAIL, heard=BEGINNING) as events:
        error, event = take(events, 2)
    assert error.event == "error"
    assert json.loads(error.data)["status"] == 410
    assert ids_of([event]) == ids[2:]
    with gateway.events(TAIL, heard=error.id) as events:
        assert take(events, 1)[0].id == event.id


def test_a_place_of_another_database_is_told_and_the_stream_goes_on_from_the_end(site: Site) -> None:
    gateway = site.serve()
    site.finish(site.accept())
    later = site.accept()
    with gateway.events(TAIL, heard="999999999999-5-1") as events:
        assert next(events).event == "error"
        begun(gateway)
        site.finish(later)
        assert ids_of(take(events, 1)) == later


@pytest.mark.parametrize("cursor", ["garbage", "1-2", "1-2-3-4", "'; --", "0" * 16, "9" * 30 + "-1-1"])
def test_a_cursor_that_is_none_is_refused(site: Site, cursor: str) -> None:
    answer = site.serve().get(TAIL, heard=cursor)
    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.json()["detail"]


def test_an_endpoint_that_there_is_not_is_404(site: Site) -> None:
    assert site.serve().get("/v1/endpoints/nothing/events").status_code == 404


def test_no_more_clients_follow_than_may_and_who_leaves_makes_room(site: Site) -> None:
    gateway = site.serve(max_streams=2)
    [request_id] = site.accept()
    with gateway.events(TAIL), gateway.events(f"/v1/predictions/{request_id}/events"):
        answer = gateway.get(TAIL)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert gateway.get(f"/v1/predictions/{request_id}").status_code == 200

    def there_is_room() -> bool:
        with socket.create_connection(gateway.url.removeprefix("http://").split(":")) as connection:  # type: ignore[arg-type]
            connection.settimeout(DEADLINE_SECONDS)
            connection.sendall(f"GET {TAIL} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            return connection.recv(12).endswith(b"200")

    eventually(lambda: there_is_room() and there_is_room())


def test_a_client_that_reads_nothing_holds_little_and_is_let_go(site: Site) -> None:
    gateway = site.serve(stream_send_seconds=1.0)
    address = urlsplit(gateway.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((str(address.hostname), int(address.port or 0)))
        connection.sendall(f"GET {TAIL}?last_event_id={BEGINNING} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        begun(gateway)
        for _ in range(30):
            some = site.accept(20)
            site.finish(some, outputs=["x" * 20_000])
        eventually(lambda: not gateway.gateway._streams._tails._followers)


def test_idle_clients_have_no_threads_and_share_their_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = site.serve(heartbeat_seconds=30.0)
    tails = gateway.gateway._streams._tails
    clients = 200
    address = urlsplit(gateway.url)
    with ExitStack() as stack:
        sockets = []
        for _ in range(clients):
            connection = socket.create_connection((str(address.hostname), int(address.port or 0)), DEADLINE_SECONDS)
            stack.enter_context(connection)
            connection.sendall(f"GET {TAIL} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            sockets.append(connection)
        begun(gateway, clients)
        threads = threading.active_count()
        assert threads < 60
        pages: list[object] = []
        monkeypatch.setattr(tails._log, "after", _counted(tails._log.after, pages))
        [request_id] = site.accept()
        site.finish([request_id])
        for connection in sockets:
            text = b""
            while request_id.encode() not in text:
                text += connection.recv(65536)
        assert len(pages) <= 12


def _counted(read: Callable[..., Any], calls: list[object]) -> Callable[..., Any]:
    def counted(*place: object) -> Any:
        calls.append(place)
        return read(*place)

    return counted
