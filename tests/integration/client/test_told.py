"""The client is told of results: many at once, by a call for each, and whatever becomes of the gateway meanwhile."""

import asyncio
import logging
import threading
from collections.abc import Callable

import httpx
import psutil
import pytest
from tests.conftest import PATIENCE_SECONDS, Installation, eventually
from tests.servers.ports import free_port

from predictq.ids import new_id
from predictq_producers import AsyncClient, Client
from predictq_producers.client import NotFinished, NotFound, Rejected, Result

ROW = {"a": 1, "b": 0.5}


class Told:
    """Takes results; raises for those that it is told to."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.errors: list[tuple[Exception, Result | None]] = []
        self.wrong: Callable[[Result], bool] = lambda _: False

    def __call__(self, result: Result) -> None:
        self.results.append(result)
        if self.wrong(result):
            raise ValueError(result.id)

    def on_error(self, error: Exception, result: Result | None) -> None:
        self.errors.append((error, result))

    @property
    def ids(self) -> list[str]:
        return [result.id for result in self.results]


def test_many_requests_are_told_as_they_finish_over_one_connection(
    client: Client, site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = client.submit_many("sums", [ROW] * 1200, instances_per_request=1)
    slow = client.submit("doors", [ROW])
    reads: list[str] = []
    monkeypatch.setattr(client._sender, "send", lambda call: reads.append(call.path))
    told: list[str] = []
    for result in client.results([slow, *requests, requests[0].id], wait=PATIENCE_SECONDS):
        told.append(result.id)
        assert result.finished
        if len(told) == 1200:
            (site.folder / "open").touch()

    assert told[-1] == slow.id
    assert sorted(told[:-1]) == sorted(request.id for request in requests)
    assert not reads
    (site.folder / "open").unlink()


def test_the_same_where_no_socket_can_be_had(site: Installation) -> None:
    with httpx.Client() as http, Client(site.url, http=http) as client:
        requests = client.submit_many("sums", [ROW] * 5, instances_per_request=1)
        told = [result.id for result in client.results(requests, wait=PATIENCE_SECONDS)]
        assert list(client.results(requests, wait=0.0))
    assert sorted(told) == sorted(request.id for request in requests)


def test_coroutines_are_told_as_well(site: Installation) -> None:
    async def both() -> None:
        async with AsyncClient(site.url) as client:
            requests = await client.submit_many("sums", [ROW] * 50, instances_per_request=1)
            told = {result.id async for result in client.results(requests, wait=PATIENCE_SECONDS)}
            assert told == {request.id for request in requests}
            with pytest.raises(NotFound):
                async for _ in client.results(["ffffffff-ffff-4fff-bfff-ffffffffffff"]):
                    pass
        async with httpx.AsyncClient() as http, AsyncClient(site.url, http=http) as client:
            assert {result.id async for result in client.results(requests)} == told

    asyncio.run(both())


@pytest.mark.timeout(300)
def test_a_killed_gateway_costs_no_result(client: Client, gateway: Callable[[], psutil.Process]) -> None:
    slow = client.submit("doors", [ROW])
    requests = client.submit_many("sums", [ROW] * 50, instances_per_request=1)
    told = client.results([*requests, slow], wait=PATIENCE_SECONDS)
    ids = {next(told).id}
    gateway().kill()
    client.cancel(slow.id)
    ids |= {result.id for result in told}
    assert ids == {slow.id, *(request.id for request in requests)}


def test_what_is_open_after_the_wait_and_what_there_is_not_are_errors(client: Client) -> None:
    request = client.submit("doors", [ROW])
    for wait in (0.0, 0.3):
        with pytest.raises(NotFinished) as caught:
            list(client.results([request], wait=wait))
        assert caught.value.id == request.id
    client.cancel(request.id)
    with pytest.raises(NotFound):
        list(client.results(["ffffffff-ffff-4fff-bfff-ffffffffffff"]))
    assert list(client.results([])) == []


@pytest.mark.timeout(300)
def test_a_function_is_called_with_each_result_of_an_endpoint_whatever_is_killed(
    client: Client, gateway: Callable[[], psutil.Process]
) -> None:
    told = Told()
    with client.on_result("sums", told, on_error=told.on_error) as listener:
        first = client.submit_many("sums", [ROW] * 10, instances_per_request=1)
        eventually(lambda: len(told.results) == 10)
        gateway().kill()
        second = client.submit_many("sums", [ROW] * 10, instances_per_request=1)
        eventually(lambda: len(told.results) >= 20)
    assert sorted(told.ids) == sorted(request.id for request in first + second)
    assert not told.errors
    place = listener.cursor

    third = client.predict("sums", [ROW])
    later = Told()
    with client.on_result("sums", later, after=place):
        eventually(lambda: later.ids == [third.id])


def test_what_the_function_raises_is_told_and_the_next_result_follows(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    told.wrong = lambda _: len(told.results) == 1
    with client.on_result("sums", told, on_error=told.on_error):
        client.submit_many("sums", [ROW] * 3, instances_per_request=1)
        eventually(lambda: len(told.results) == 3)
    [(error, result)] = told.errors
    assert str(error) == told.ids[0]
    assert result == told.results[0]
    assert told.ids[0] in caplog.text


def test_a_listener_that_was_ended_by_its_hook_says_why_and_gives_the_result_again(client: Client) -> None:
    told = Told()
    told.wrong = lambda _: len(told.results) == 2

    def stop(error: Exception, result: Result | None) -> None:
        raise error

    listener = client.on_result("sums", told, on_error=stop)
    client.submit_many("sums", [ROW] * 3, instances_per_request=1)
    with pytest.raises(ValueError, match="-"):
        listener.wait(PATIENCE_SECONDS)
    place = listener.cursor
    with pytest.raises(ValueError, match="-"):
        listener.close()
    again = Told()
    with client.on_result("sums", again, after=place):
        eventually(lambda: len(again.results) == 2)
    assert again.ids[0] == told.ids[1]


def test_requests_are_listened_to_until_all_are_told(client: Client) -> None:
    told = Told()
    requests = client.submit_many("sums", [ROW] * 20, instances_per_request=1)
    with client.on_result(requests, told) as listener:
        assert listener.wait(PATIENCE_SECONDS)
    assert sorted(told.ids) == sorted(request.id for request in requests)


def test_a_listener_ends_at_once_while_nothing_happens(client: Client) -> None:
    request = client.submit("doors", [ROW])
    before = threading.active_count()
    for source in ("pairs", [request]):
        listener = client.on_result(source, Told())
        listener.close()
        listener.close()
    eventually(lambda: threading.active_count() <= before)  # those of the socket's library end by themselves
    client.cancel(request.id)


def test_a_lost_place_is_told_and_the_listener_goes_on(client: Client) -> None:
    told = Told()
    with client.on_result("sums", told, after="999999-999999-1", on_error=told.on_error):
        eventually(lambda: bool(told.errors))
        request = client.submit("sums", [ROW])
        eventually(lambda: told.ids == [request.id])


@pytest.mark.parametrize(("source", "after"), [("nothing", None), ("sums", "yesterday")])
def test_what_can_never_be_listened_to_is_raised_at_once(client: Client, source: str, after: str | None) -> None:
    with pytest.raises(Rejected):
        client.on_result(source, Told(), after=after)


def test_a_gateway_that_is_away_for_too_long_is_told_and_awaited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unused_url = f"http://127.0.0.1:{free_port()}"
    caplog.set_level(logging.WARNING)
    told = Told()
    with Client(unused_url, timeout=0.2) as client:
        for source in ("sums", [new_id()]):
            told.errors.clear()
            listener = client.on_result(source, told, on_error=told.on_error)
            eventually(lambda: bool(told.errors))
            listener.close()
            assert listener.failure is None
    assert "waited for" in caplog.text
