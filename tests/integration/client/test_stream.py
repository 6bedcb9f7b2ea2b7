"""A stream of results is whole, whatever happens to the gateway that it comes from."""

import asyncio
from collections.abc import Callable

import psutil
import pytest
from tests.beside import running
from tests.conftest import Installation, eventually

from predictq_producers import AsyncClient, Client
from predictq_producers.client import FellBehind, NotFound, Rejected, Result, ResultStream

SUBMITTED = 60


def taken(stream: ResultStream, count: int) -> list[Result]:
    return [result for _, result in zip(range(count), stream, strict=False)]


@pytest.mark.timeout(300)
def test_a_killed_gateway_leaves_no_gap_and_no_double(
    client: Client, site: Installation, gateway: Callable[[], psutil.Process]
) -> None:
    stream = client.stream("sums")
    with running(lambda: taken(stream, SUBMITTED)) as [told]:
        eventually(lambda: stream.cursor is not None)
        requests = []
        for number in range(SUBMITTED):
            if number == SUBMITTED // 2:
                gateway().kill()
            requests.append(client.submit("sums", [{"a": number, "b": 0.5}]))

    assert sorted(result.id for result in told.result()) == sorted(request.id for request in requests)
    assert all(result.finished for result in told.result())


def test_a_program_that_comes_back_later_goes_on_behind_its_cursor(client: Client, site: Installation) -> None:
    stream = client.stream("sums")
    with running(lambda: taken(stream, 1)) as [told]:
        eventually(lambda: stream.cursor is not None)
        first = client.predict("sums", [{"a": 1, "b": 1}])
    assert [result.id for result in told.result()] == [first.id]

    second = client.predict("sums", [{"a": 2, "b": 2}])

    async def later() -> Result:
        async with AsyncClient(site.url) as awaited:
            async for result in awaited.stream("sums", after=stream.cursor):
                return result
        raise AssertionError("a stream has no end")

    assert asyncio.run(later()) == second


def test_a_cursor_that_is_none_and_an_endpoint_that_there_is_not_are_refused(client: Client) -> None:
    with pytest.raises(Rejected, match="Last-Event-ID"):
        next(iter(client.stream("sums", after="yesterday")))
    with pytest.raises(NotFound, match="nothing"):
        next(iter(client.stream("nothing")))


def test_a_place_that_is_kept_no_longer_is_an_error_that_says_where_it_goes_on(client: Client) -> None:
    with pytest.raises(FellBehind, match="goes on") as caught:
        next(iter(client.stream("sums", after="999999-999999-1")))
    assert caught.value.cursor is not None
