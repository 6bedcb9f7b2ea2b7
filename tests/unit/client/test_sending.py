"""Calls to a server that fails in every way."""

import asyncio
import io
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import httpx
import pytest
from tests.unit.client.conftest import Answer, Server

from predictq.errors import PredictqError, UserMistake
from predictq_producers.client import AsyncClient, Client, GatewayUnavailable, Interrupted, Rejected
from predictq_producers.client.sending import reason_of

ACCEPTED = Answer(202, {"id": "74658dfb-ab80-8046-b164-05294764cd5a", "endpoint": "e", "status": "queued"})
AWAY = Answer(503, {"status": 503, "detail": "the broker is away"})
JOB = {"id": ACCEPTED.body["id"], "endpoint": "e", "status": "completed"}
CUT = Answer(200, b"row,status\n1,succeeded\n", cut=11)
WHOLE = Answer(200, b"row,status\n1,succeeded\n")


class Both:
    """One call by each client, by turns: `both.submit(…)` is what either gives."""

    def __init__(self, url: str, *, awaited: bool, timeout: float = 20.0) -> None:
        self._url = url
        self._awaited = awaited
        self._timeout = timeout

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if self._awaited:
                return asyncio.run(self._call(name, args, more))
            with Client(self._url, timeout=self._timeout) as client:
                return getattr(client, name)(*args, **more)

        return call

    async def _call(self, name: str, args: Any, more: Any) -> Any:
        async with AsyncClient(self._url, timeout=self._timeout) as client:
            return await getattr(client, name)(*args, **more)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def awaited(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def both(server: Server, awaited: bool) -> Both:
    return Both(server.url, awaited=awaited)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_submit_in_a_storm_arrives_once_under_one_key(server: Server, both: Both, status: int) -> None:
    server.says(Answer(status, b"<html>storm"), AWAY._replace(status=status), Answer(cut=0), ACCEPTED)

    request = both.submit("e", [[1]])

    assert request.id == ACCEPTED.body["id"]
    assert len(server.asked) == 4
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    assert {asked.body for asked in server.asked} == {b'{"instances":[[1]]}'}


def test_a_storm_that_does_not_end_is_told(server: Server, awaited: bool) -> None:
    server.says(AWAY)
    with pytest.raises(GatewayUnavailable, match=r"the broker is away \(tried \d+ times within 1 s\)") as raised:
        Both(server.url, awaited=awaited, timeout=1).submit("e", [[1]])
    assert raised.value.status == 503
    assert len(server.asked) > 1


def test_a_long_retry_after_is_not_waited_for_in_vain(server: Server, both: Both) -> None:
    server.says(AWAY._replace(headers={"Retry-After": "3600"}))
    with pytest.raises(GatewayUnavailable, match="tried once"):
        both.submit("e", [[1]])
    assert len(server.asked) == 1


def test_nobody_there_is_told(awaited: bool, unused_url: str) -> None:
    with pytest.raises(GatewayUnavailable, match=unused_url) as raised:
        Both(unused_url, awaited=awaited, timeout=0.5).job("x")
    assert raised.value.status is None


def test_what_is_refused_is_never_sent_again(server: Server, both: Both) -> None:
    server.says(Answer(422, {"status": 422, "detail": "do not fit", "errors": [{"pointer": "/a", "detail": "no"}]}))
    with pytest.raises(Rejected) as raised:
        both.submit("e", [[1]])
    assert raised.value.errors[0].pointer == "/a"
    assert len(server.asked) == 1


def test_an_answer_that_is_cut_in_its_middle_is_asked_for_again(server: Server, both: Both) -> None:
    server.says(ACCEPTED._replace(cut=20), ACCEPTED)
    assert both.submit("e", [[1]]).id == ACCEPTED.body["id"]
    assert len(server.asked) == 2


def test_a_server_that_fell_silent_is_asked_again(server: Server, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictq_producers.client.sending.ATTEMPT_SECONDS", 0.3)
    server.says(Answer(0), ACCEPTED)
    assert both.submit("e", [[1]]).id == ACCEPTED.body["id"]
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


def test_a_file_is_uploaded_again_from_where_it_stood(server: Server, both: Both, tmp_path: Path) -> None:
    (tmp_path / "rows ü.csv").write_bytes(b"skipped\na,b\n1,2\n")
    server.says(AWAY, Answer(cut=0), ACCEPTED)
    with (tmp_path / "rows ü.csv").open("rb") as file:
        file.readline()
        both.submit_file("e", file, keep=["a", "b"])
        assert not file.closed

    assert len(server.asked) == 3
    assert len({asked.body for asked in server.asked}) == 1
    body = server.asked[0].body
    assert b"\r\n\r\na,b\n1,2\n\r\n--" in body
    assert b'filename="rows%20%C3%BC.csv"' in body
    assert int(server.asked[0].headers["content-length"]) == len(body)


class Once(io.RawIOBase):
    """A stream, as a pipe is one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")


def test_a_stream_that_cannot_go_back_is_sent_once(server: Server, both: Both) -> None:
    server.says(ACCEPTED)
    both.submit_file("e", Once(iter([b"a,b\n", b"1,2\n"])))
    assert b"\r\n\r\na,b\n1,2\n\r\n--" in server.asked[0].body

    server.says(AWAY, ACCEPTED)
    with pytest.raises(GatewayUnavailable, match="cannot be read again"):
        both.submit_file("e", Once(iter([b"a,b\n"])))
    assert len(server.asked) == 2


def test_a_file_is_never_held_as_a_whole() -> None:
    from predictq_producers.client.uploading import Upload  # noqa: PLC0415 - this test alone

    size = 64 * 1024 * 1024
    upload = Upload(cast("IO[bytes]", Once(iter([bytes(1024 * 1024)] * 64))), [])
    tracemalloc.start()
    try:
        assert sum(map(len, upload.pieces())) > size
        assert tracemalloc.get_traced_memory()[1] < size / 8
    finally:
        tracemalloc.stop()


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(server: Server, both: Both) -> None:
    with pytest.raises(UserMistake, match=r"nowhere\.csv: cannot be read"):
        both.submit_file("e", "nowhere.csv")
    with pytest.raises(UserMistake, match="opened as text"):
        both.submit_file("e", io.StringIO("a,b\n"))
    assert server.asked == []


def test_a_result_file_that_was_cut_off_is_saved_as_a_whole_or_not_at_all(server: Server, tmp_path: Path) -> None:
    place = tmp_path / "results.csv"
    with Client(server.url, timeout=20) as client:
        server.says(Answer(200, JOB), CUT, AWAY, WHOLE)
        assert client.job("x").save(place) == place
        assert place.read_bytes() == WHOLE.body
        assert [each.name for each in tmp_path.iterdir()] == ["results.csv"]

    with Client(server.url, timeout=0.5) as client:
        server.says(Answer(200, JOB), CUT)
        job = client.job("x")
        with pytest.raises(GatewayUnavailable):
            job.save(tmp_path / "never.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["results.csv"]


def test_an_awaited_result_file_is_saved_as_well(server: Server, tmp_path: Path) -> None:
    async def save() -> None:
        async with AsyncClient(server.url, timeout=20) as client:
            await (await client.job("x")).save(tmp_path / "results.csv")

    server.says(Answer(200, JOB), CUT, AWAY, WHOLE)
    asyncio.run(save())
    assert (tmp_path / "results.csv").read_bytes() == WHOLE.body


def test_a_stream_of_results_says_that_it_was_cut_off(server: Server) -> None:
    with Client(server.url, timeout=20) as client:
        server.says(Answer(200, JOB), AWAY, CUT)
        found: list[bytes] = []
        with pytest.raises(Interrupted):
            found += client.job("x").results()
    assert b"".join(found) == WHOLE.body[:11]
    assert len(server.asked) == 3


def test_a_url_of_no_gateway_is_refused() -> None:
    for url in ("127.0.0.1:8700", "ftp://127.0.0.1", "http://", ""):
        with pytest.raises(UserMistake, match="is no URL of a gateway"):
            Client(url)


def _kinds(kind: type[httpx.RequestError]) -> Iterator[type[httpx.RequestError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


@pytest.mark.parametrize("kind", list(_kinds(httpx.RequestError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_driver_is_told_as_one_of_ours(kind: type[httpx.RequestError]) -> None:
    lasting = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError, httpx.TooManyRedirects)
    if issubclass(kind, lasting):
        with pytest.raises(PredictqError, match="said"):
            reason_of(kind("said"))
    else:
        assert reason_of(kind(""))
