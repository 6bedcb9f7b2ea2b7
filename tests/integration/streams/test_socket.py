"""The WebSocket: submitting, following and acknowledging over one connection, by a client that is not ours."""

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from tests.integration.streams.conftest import DEADLINE_SECONDS, NOWHERE, Served, Site, eventually
from tests.unit.sync.conftest import INSTANCES, request
from tests.unit.sync.databases import fresh_url
from tests.unit.sync.job_events import TheJob
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from predictq.brokers import Subscription
from predictq.ids import new_id
from predictq.messages import REQUEST
from predictq.names import Names
from predictq_gateway.socket.vocabulary import SUBPROTOCOL
from predictq_sync.reading import Reader
from predictq_sync.streams.completions import START

BEGINNING = str(START)


class Talk:
    """A client that remembers nothing but what it was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome = self.hear()

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.connection.recv(DEADLINE_SECONDS))
        return heard

    def ask(self, **message: Any) -> dict[str, Any]:
        """The next answer; for when nothing else may come."""
        self.say(**message)
        return self.hear()

    def events(self, count: int, *, acknowledge: bool = True) -> list[dict[str, Any]]:
        found = []
        for _ in range(count):
            heard = self.hear()
            assert heard["type"] == "event", heard
            found.append(heard)
            if acknowledge:
                self.say(type="ack", seq=heard["seq"])
        return found

    def is_silent(self) -> bool:
        """Whether nothing was said up to now."""
        return self.ask(type="ping", ref="silent?") == {"type": "pong", "ref": "silent?"}


def address(served: Served) -> str:
    return served.url.replace("http://", "ws://", 1) + "/v1/stream"


@contextmanager
def talking(served: Served, query: str = "", **options: Any) -> Iterator[Talk]:
    options.setdefault("subprotocols", [SUBPROTOCOL])
    with connect(address(served) + query, open_timeout=DEADLINE_SECONDS, **options) as connection:
        yield Talk(connection)


def ids_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["id"] for event in events]


def submitted(site: Site) -> str:
    """Id of the next request on the topic; the test answers it as ledger, worker and store would."""
    names = Names()
    reading = Subscription(topics=(names.requests("tumours"),), member=new_id(), group=names.ledger_group)
    with closing(site.broker.consumer(reading)) as consumer:
        batch = consumer.poll(1, 1 << 20, DEADLINE_SECONDS)
        return REQUEST.decode(batch[0].value)["id"]


def answer(site: Site, request_id: str) -> None:
    site.ledger.handle([request(request_id)])
    site.finish([request_id])


def test_a_submit_is_accepted_and_then_answered_under_its_ref(site: Site) -> None:
    gateway = site.serve()
    with talking(gateway) as talk:
        accepted = talk.ask(type="submit", ref="a", endpoint="tumours", request={"instances": INSTANCES})
        assert accepted == {"type": "accepted", "ref": "a", "id": submitted(site), "endpoint": "tumours"}
        answer(site, accepted["id"])
        [event] = talk.events(1)
        assert talk.hear() == {"type": "ended", "ref": "a"}

    assert (event["ref"], event["seq"], event["event"]) == ("a", 1, "prediction.succeeded")
    assert event["data"] == gateway.get(f"/v1/predictions/{accepted['id']}").json()


def test_a_key_is_one_request_by_http_and_by_socket(site: Site) -> None:
    gateway = site.serve()
    body = {"instances": INSTANCES}
    with talking(gateway) as talk:
        by_socket = talk.ask(type="submit", ref="a", endpoint="tumours", request=body, idempotency_key="order-1")
        by_http = httpx.post(
            f"{gateway.url}/v1/endpoints/tumours/predictions", json=body, headers={"idempotency-key": '"order-1"'}
        ).json()
        other = {"instances": [[1.0]]}
        refused = talk.ask(type="submit", ref="b", endpoint="tumours", request=other, idempotency_key="order-1")

    assert by_socket["id"] == by_http["id"]
    assert refused["ref"] == "b"
    assert refused["problem"]["status"] == 422


def test_requests_and_jobs_are_followed_to_their_ends(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    job = TheJob(site.database, new_id(), None)
    with talking(gateway) as talk:
        assert talk.ask(type="subscribe", ref="r", prediction=request_id) == {"type": "subscribed", "ref": "r"}
        [queued] = talk.events(1)
        assert talk.ask(type="subscribe", ref="j", job=job.id)["type"] == "subscribed"
        [progress] = talk.events(1)
        site.finish([request_id])
        [finished] = talk.events(1)
        assert talk.hear() == {"type": "ended", "ref": "r"}
        httpx.post(f"{gateway.url}/v1/jobs/{job.id}/cancel")
        [cancelled] = talk.events(1)
        assert talk.hear() == {"type": "ended", "ref": "j"}

        again = talk.ask(type="subscribe", ref="r", prediction=request_id, cursor=finished["cursor"])
        assert again["type"] == "subscribed"
        assert talk.hear() == {"type": "ended", "ref": "r"}

    assert [event["event"] for event in (queued, progress, finished, cancelled)] == [
        "prediction.queued",
        "job.progress",
        "prediction.succeeded",
        "job.cancelled",
    ]
    assert [event["seq"] for event in (queued, progress, finished, cancelled)] == [1, 2, 3, 4]


def test_a_client_that_switches_gateways_and_ways_misses_nothing_and_hears_nothing_twice(site: Site) -> None:
    one, other = site.serve(), site.serve()
    ids = [each for _ in range(9) for each in site.accept(5)]
    heard: list[str] = []
    with talking(one) as talk:
        cursor = talk.ask(type="subscribe", ref="t", endpoint="tumours")["cursor"]
    for turn in range(9):
        site.finish(ids[5 * turn : 5 * turn + 5], announced=turn % 2 == 0)
        if turn % 3 == 2:
            with one.events("/v1/endpoints/tumours/events", heard=cursor) as events:
                told = [next(events) for _ in range(5)]
            heard += [json.loads(event.data)["id"] for event in told]
            cursor = told[-1].id
        else:
            with talking(one if turn % 2 else other) as talk:
                begun = talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=cursor)
                assert begun["cursor"] == cursor
                # In mid-page: what was not read is told to the next connection.
                some = talk.events(3 if turn % 3 == 0 else 7)
            heard += ids_of(some)
            cursor = some[-1]["cursor"]
    assert sorted(heard) == sorted(ids)


def test_what_is_unsubscribed_is_told_no_more(site: Site) -> None:
    gateway = site.serve()
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours")
        site.finish(site.accept())
        talk.events(1)
        assert talk.ask(type="unsubscribe", ref="u", subscription="t") == {"type": "unsubscribed", "ref": "u"}
        site.finish(site.accept())
        assert talk.ask(type="unsubscribe", ref="v", subscription="t")["problem"]["status"] == 404
        assert talk.ask(type="subscribe", ref="t", endpoint="tumours")["type"] == "subscribed"
        assert talk.is_silent()


def test_events_wait_for_acknowledgement_and_answers_do_not(site: Site) -> None:
    gateway = site.serve()
    ids = site.accept(6)
    site.finish(ids)
    with talking(gateway, "?window=2") as talk:
        assert talk.welcome["window"] == 2
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=BEGINNING)
        first = talk.events(2, acknowledge=False)
        assert talk.is_silent()
        talk.say(type="ack", seq=1)
        second = talk.events(1, acknowledge=False)
        assert talk.is_silent()
        talk.say(type="ack", seq=3)
        rest = talk.events(3)
        too_high = talk.ask(type="ack", seq=7, ref="x")

    assert sorted(ids_of(first + second + rest)) == sorted(ids)
    assert [event["seq"] for event in first + second + rest] == [1, 2, 3, 4, 5, 6]
    assert (too_high["ref"], too_high["problem"]["errors"][0]["pointer"]) == ("x", "/seq")


def test_what_is_unsubscribed_while_it_waits_for_room_takes_no_number(site: Site) -> None:
    gateway = site.serve()
    site.finish(site.accept(3))
    with talking(gateway, "?window=1") as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=BEGINNING)
        talk.events(1, acknowledge=False)
        assert talk.ask(type="unsubscribe", ref="u", subscription="t")["type"] == "unsubscribed"
        talk.say(type="ack", seq=1)
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor=BEGINNING)
        assert [event["seq"] for event in talk.events(3)] == [2, 3, 4]


def test_a_lost_announcement_costs_a_poll_and_no_result(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours")
        talk.ask(type="subscribe", ref="r", prediction=request_id)
        talk.events(1)
        site.finish([request_id], announced=False)
        told = talk.events(2)
    assert {event["ref"] for event in told} == {"t", "r"}


def test_a_place_of_another_database_is_told_and_the_stream_goes_on(site: Site) -> None:
    gateway = site.serve()
    site.finish(site.accept())
    later = site.accept()
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours", cursor="999999999999-5-1")
        error = talk.hear()
        site.finish(later)
        assert ids_of(talk.events(1)) == later
    assert (error["type"], error["ref"], error["problem"]["status"]) == ("error", "t", 410)
    assert error["cursor"]


def test_the_last_of_many_requests_is_not_held_for_the_first(site: Site) -> None:
    """Those that are finished when nobody acknowledges are read again when it is their turn."""
    gateway = site.serve()
    ids = site.accept(5)
    with talking(gateway, "?window=1") as talk:
        for request_id in ids:
            talk.say(type="subscribe", ref=request_id, prediction=request_id)
        site.finish(ids)
        names: list[str] = []
        while names.count("prediction.succeeded") < 5:
            heard = talk.hear()
            if heard["type"] == "event":
                names.append(heard["event"])
                talk.say(type="ack", seq=heard["seq"])


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ("7", 422),
        ("{}", 422),
        ('"' + "x" * 5000, 400),
        ("[" * 100_000, 400),
        ({"type": "sing", "ref": "a"}, 422),
        ({"type": "ping"}, 422),
        ({"type": "ping", "ref": ""}, 422),
        ({"type": "ping", "ref": 7}, 422),
        ({"type": "ping", "ref": "a", "more": 1}, 422),
        ({"type": "ping", "ref": "x" * 65}, 422),
        ({"type": "ack", "seq": -1}, 422),
        ({"type": "ack", "seq": "1"}, 422),
        ({"type": "ack", "seq": 10**30}, 422),
        ({"type": "subscribe", "ref": "a"}, 422),
        ({"type": "subscribe", "ref": "a", "endpoint": "tumours", "job": NOWHERE}, 422),
        ({"type": "subscribe", "ref": "a", "endpoint": "nothing"}, 404),
        ({"type": "subscribe", "ref": "a", "endpoint": "tumours", "cursor": "yesterday"}, 400),
        ({"type": "subscribe", "ref": "a", "prediction": NOWHERE}, 404),
        ({"type": "subscribe", "ref": "a", "prediction": "\0" * 100}, 404),
        ({"type": "subscribe", "ref": "a", "job": NOWHERE}, 404),
        ({"type": "subscribe", "ref": "a", "job": "x", "cursor": "1-2-3"}, 400),
        ({"type": "unsubscribe", "ref": "a", "subscription": "b"}, 404),
        ({"type": "submit", "ref": "a", "endpoint": "nothing", "request": {"instances": [[1]]}}, 404),
        ({"type": "submit", "ref": "a", "endpoint": "tumours"}, 422),
        ({"type": "submit", "ref": "a", "endpoint": "tumours", "request": {"instances": []}}, 422),
        ({"type": "submit", "ref": "a", "endpoint": "tumours", "request": []}, 422),
    ],
)
def test_what_cannot_be_done_is_told_and_the_connection_stays(
    served_once: Callable[[], Served], message: Any, status: int
) -> None:
    with talking(served_once()) as talk:
        talk.connection.send(message if isinstance(message, str) else json.dumps(message))
        error = talk.hear()
        assert talk.is_silent()
    assert error["type"] == "error"
    assert error["problem"]["status"] == status
    ref = message.get("ref") if isinstance(message, dict) else None
    assert error["ref"] == (ref if ref == "a" else None)
    assert len(json.dumps(error)) < 3000


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Served]]:
    """One gateway for all that is refused anyhow."""
    folder = tmp_path_factory.mktemp("socket")
    with fresh_url("sqlite", folder) as url, closing(Site.on(url, folder)) as site:
        gateway = site.serve(socket_subscriptions=50, socket_message_bytes=300_000)
        yield lambda: gateway


def test_binary_messages_and_huge_ones_end_the_connection(served_once: Callable[[], Served]) -> None:
    with talking(served_once()) as talk:
        assert closed(talk, b"{}") == 1003
    with talking(served_once()) as talk:
        assert closed(talk, "x" * 10_000_000) == 1009
    with talking(served_once()) as talk:  # the same in fragments, whose size nobody tells
        assert closed(talk, ("x" * 50_000 for _ in range(100))) == 1009


def closed(talk: Talk, last_word: Any = ()) -> int:
    """The code with which the gateway closes the connection, after what is said to it last."""
    with pytest.raises(ConnectionClosed) as caught:
        _hear_all(talk, last_word)
    assert caught.value.rcvd is not None, caught.value
    assert caught.value.rcvd.reason or caught.value.rcvd.code == 1007
    return caught.value.rcvd.code


def _hear_all(talk: Talk, last_word: Any) -> None:
    if last_word:
        talk.connection.send(last_word)
    while True:
        talk.hear()


def test_a_hundred_thousand_subscriptions_are_refused_beyond_the_bound(served_once: Callable[[], Served]) -> None:
    gateway = served_once()
    with talking(gateway) as talk:
        kinds: dict[str, int] = {}
        for first in range(0, 100_000, 1000):
            for number in range(first, first + 1000):
                talk.say(type="subscribe", ref=str(number), endpoint="tumours")
            for _ in range(1000):
                heard = talk.hear()
                kind = heard["type"] if heard["type"] != "error" else str(heard["problem"]["status"])
                kinds[kind] = kinds.get(kind, 0) + 1
        assert kinds == {"subscribed": 50, "429": 99_950}
        assert talk.ask(type="subscribe", ref="0", endpoint="tumours")["problem"]["status"] == 409
    eventually(lambda: not gateway.gateway._streams._tails._followers)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), ("https://[", 403), ("file://", 403)],
)
def test_a_page_of_another_origin_is_refused_before_the_upgrade(
    served_once: Callable[[], Served], origin: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as caught, talking(served_once(), origin=origin):
        pass
    assert caught.value.response.status_code == status
    assert json.loads(caught.value.response.body or b"")["status"] == status


def test_a_page_of_the_gateway_itself_is_served(served_once: Callable[[], Served]) -> None:
    with talking(served_once(), origin=served_once().url) as talk:
        assert talk.is_silent()


def test_an_origin_of_the_settings_is_served(site: Site) -> None:
    gateway = site.serve(allowed_origins=("https://shop.example",))
    with talking(gateway, origin="https://shop.example") as talk:
        assert talk.is_silent()


def test_the_handshake_is_refused_where_nothing_of_it_is_spoken_here(served_once: Callable[[], Served]) -> None:
    gateway = served_once()
    with pytest.raises(InvalidStatus) as caught, talking(gateway, subprotocols=["graphql-ws"]):
        pass
    assert caught.value.response.status_code == 400
    for window in ("0", "x", "-1", "99999", "1" * 5000):
        with pytest.raises(InvalidStatus) as caught, talking(gateway, f"?window={window}"):
            pass
        assert caught.value.response.status_code == 400
    with talking(gateway, subprotocols=None) as talk:
        assert talk.connection.subprotocol is None
    with talking(gateway) as talk:
        assert talk.connection.subprotocol == SUBPROTOCOL
    plain = gateway.get("/v1/stream")
    assert (plain.status_code, plain.headers["upgrade"]) == (426, "websocket")
    assert plain.headers["content-type"] == "application/problem+json"


def test_sockets_and_other_streams_share_the_room(site: Site) -> None:
    gateway = site.serve(max_streams=2)
    with talking(gateway), gateway.events("/v1/endpoints/tumours/events"):
        with connect(address(gateway)) as connection, pytest.raises(ConnectionClosed) as caught:
            connection.recv(DEADLINE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
        assert gateway.get("/v1/endpoints/tumours/events").status_code == 503


def test_a_gateway_that_stops_says_so(site: Site) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="t", endpoint="tumours")
        talk.ask(type="subscribe", ref="r", prediction=request_id)
        gateway.server.should_exit = True
        assert closed(talk) == 1001
    gateway.stop()


def test_what_was_submitted_is_not_held_while_its_result_is_waited_for(site: Site) -> None:
    gateway = site.serve()
    request = {"instances": [[1.0] * 10_000]}
    with talking(gateway) as talk:
        for number in range(5):
            talk.ask(type="submit", ref=str(number), endpoint="tumours", request=request)
        assert talk.is_silent()
        large = [each for each in gc.get_objects() if type(each) is list and len(each) == 10_000]
        assert [each for each in large if each[:2] == [1.0, 1.0]] == request["instances"]


def test_an_id_that_turns_out_to_be_nobodys_ends_with_an_error_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.serve()
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="r", prediction=new_id())
        talk.events(1)
        monkeypatch.setattr(Reader, "watermark", lambda _: time.time() + 100)
        error = talk.hear()
        assert (error["type"], error["problem"]["status"]) == ("error", 404)
        assert talk.is_silent()


def test_what_is_being_accepted_is_answered_before_a_gateway_stops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = site.serve()
    asked, may = threading.Event(), threading.Event()
    opened = gateway.gateway.publisher._open_producer

    def slowly() -> Any:
        asked.set()
        assert may.wait(DEADLINE_SECONDS)
        return opened()

    monkeypatch.setattr(gateway.gateway.publisher, "_open_producer", slowly)
    with talking(gateway) as talk:
        talk.say(type="submit", ref="a", endpoint="tumours", request={"instances": INSTANCES})
        assert asked.wait(DEADLINE_SECONDS)
        gateway.server.should_exit = True
        eventually(gateway.gateway._sockets._stopping.is_set)
        may.set()
        assert talk.hear()["type"] == "accepted"
        assert closed(talk) == 1001


def test_frames_that_are_none_end_the_connection(served_once: Callable[[], Served]) -> None:
    with talking(served_once()) as talk:
        talk.connection.socket.sendall(b"\x81\x81\0\0\0\0\xff")  # text that is no UTF-8
        assert closed(talk) == 1007
    with talking(served_once()) as talk:
        talk.connection.socket.sendall(b"\x81\x01x")  # not masked
        assert closed(talk) == 1002


def test_too_many_who_wait_are_told_to_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = site.serve()
    [request_id] = site.accept()
    monkeypatch.setattr("predictq_sync.waiting.MAX_WAITING", 0)
    with talking(gateway) as talk:
        talk.ask(type="subscribe", ref="r", prediction=request_id)
        talk.events(1)
        assert talk.hear()["problem"]["status"] == 503
        assert talk.is_silent()
