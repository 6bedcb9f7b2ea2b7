"""Calls over HTTP, by httpx: sent until they are answered, or until their time is up.

Both senders do the same; only one of them awaits.
"""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, suppress
from importlib.util import find_spec
from typing import IO, Any

import httpx

from predictq.errors import UserMistake
from predictq_producers.client.errors import BadAnswer, GatewayUnavailable, Interrupted
from predictq_producers.client.exchange import RETRIED, Call, Reply, body_of, detail_of, raise_problem
from predictq_producers.client.retrying import Attempts, retry_after
from predictq_producers.client.uploading import Upload

__all__ = ["AsyncSender", "Cut", "Sender", "reason_of"]

CONNECT_SECONDS = 10.0
ATTEMPT_SECONDS = 20.0
CUT = "the answer was cut off in its middle"


SOCKETS_PATH = "/v1/stream"


class Cut:
    """Ends an answer that another thread reads, and its pauses."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._response: httpx.Response | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, unless it is closed; whether it is."""
        return self._closed.wait(seconds)

    def hold(self, response: httpx.Response) -> None:
        """This is read from now on."""
        self._response = response
        if self.is_closed:
            self.close()

    def close(self) -> None:
        """May be called by any thread, and again. Whoever waits for bytes finds the connection ended."""
        self._closed.set()
        if self._response is not None:
            stream = self._response.extensions.get("network_stream")
            connection = None if stream is None else stream.get_extra_info("socket")
            if connection is not None:
                with suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)


class _Asking:
    """What to send, and what to make of the answer."""

    def __init__(self, url: str, timeout: float) -> None:
        try:
            parsed = httpx.URL(url)
            known = parsed.scheme in {"http", "https"} and bool(parsed.host)
        except httpx.InvalidURL:
            known = False
        if not known:
            raise UserMistake(f"{url!r} is no URL of a gateway; http://127.0.0.1:8700 would be right")
        self._url = url.rstrip("/")
        self.timeout = timeout
        """Seconds."""
        self._owned = True

    @property
    def sockets_url(self) -> str | None:
        """Of the gateway's WebSocket; None without a library for it, or where HTTP goes by the caller's settings."""
        if not self._owned or find_spec("websockets") is None:
            return None
        return f"ws{self._url.removeprefix('http')}{SOCKETS_PATH}"

    def attempts(self, call: Call, *, patient: bool = False) -> Attempts:
        return Attempts(self.timeout + call.hold_seconds, from_first_failure=patient)

    def request(self, http: Any, call: Call, seconds: float, content: Any, length: int | None = None) -> Any:
        """`seconds`: how long nothing may come or go."""
        headers = dict(call.headers) if length is None else {**call.headers, "content-length": str(length)}
        return http.build_request(
            call.method,
            f"{self._url}{call.path}",
            params=dict(call.query) or None,
            headers=headers,
            content=content,
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        )

    def patience_seconds(self, call: Call, attempts: Attempts, upload: Upload | None) -> float:
        """For one attempt. A connection may have been lost without a word, so a short call has several."""
        if upload is not None:
            return self.timeout
        return min(attempts.left_seconds, ATTEMPT_SECONDS + call.hold_seconds)

    def pause_after(self, attempts: Attempts, failure: Reply | httpx.RequestError, upload: Upload | None) -> float:
        """Seconds until the next attempt. Raises where there will be none."""
        if isinstance(failure, Reply):
            asked = retry_after(failure.headers.get("retry-after"))
            pause = attempts.pause_seconds(detail_of(failure), status=failure.status, at_least_seconds=asked)
        else:
            pause = attempts.pause_seconds(f"{self._url}: {reason_of(failure)}")
        if upload is not None and not upload.can_be_sent:
            why = detail_of(failure) if isinstance(failure, Reply) else reason_of(failure)
            raise GatewayUnavailable(f"{why}; the stream cannot be read again, so it was not sent again")
        return pause


class Sender(_Asking):
    """Sends by a thread that waits. May be used by several threads."""

    def __init__(self, url: str, timeout: float, http: httpx.Client | None) -> None:
        super().__init__(url, timeout)
        self._http = http or httpx.Client()
        self._owned = http is None

    def send(self, call: Call, upload: Upload | None = None) -> dict[str, Any]:
        """The body of the answer. Raises Rejected, NotFound, GatewayUnavailable, BadAnswer."""
        attempts = self.attempts(call, patient=upload is not None)
        failure: Reply | httpx.RequestError
        while True:
            content, length = (call.content, None) if upload is None else (upload.pieces(), upload.length)
            try:
                seconds = self.patience_seconds(call, attempts, upload)
                response = self._http.send(self.request(self._http, call, seconds, content, length))
            except httpx.RequestError as error:
                failure = error
            else:
                failure = Reply(response.status_code, response.headers, response.content)
                if failure.status not in RETRIED:
                    return body_of(failure)
            time.sleep(self.pause_after(attempts, failure, upload))

    def pieces(self, call: Call, cut: Cut | None = None) -> Generator[bytes]:
        """The body of the answer as it comes. Raises as `send`, and Interrupted where it has no end."""
        cut = cut or Cut()
        attempts = self.attempts(call)
        failure: Reply | httpx.RequestError
        while True:
            try:
                response = self._http.send(self.request(self._http, call, self.timeout, call.content), stream=True)
            except httpx.RequestError as error:
                failure = error
            else:
                if response.status_code == 200:
                    break
                with closing(response):
                    failure = Reply(response.status_code, response.headers, _read(response))
                if failure.status not in RETRIED:
                    raise_problem(failure)
            if cut.wait(self.pause_after(attempts, failure, None)):
                return
        with closing(response):
            cut.hold(response)
            try:
                yield from response.iter_bytes()
            except httpx.RequestError as error:
                raise Interrupted(f"{CUT}: {reason_of(error)}") from error

    def download(self, call: Call, file: IO[bytes]) -> None:
        """Write the body of the answer into an empty file; from its beginning where it was cut off."""
        attempts = self.attempts(call, patient=True)
        while True:
            try:
                for piece in self.pieces(call):
                    file.write(piece)
            except Interrupted as error:
                time.sleep(attempts.pause_seconds(str(error)))
                file.seek(0)
                file.truncate()
            else:
                return

    def close(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._owned:
            self._http.close()


class AsyncSender(_Asking):
    """Sends for the coroutines of one event loop."""

    def __init__(self, url: str, timeout: float, http: httpx.AsyncClient | None) -> None:
        super().__init__(url, timeout)
        self._http = http or httpx.AsyncClient()
        self._owned = http is None

    async def send(self, call: Call, upload: Upload | None = None) -> dict[str, Any]:
        """See Sender."""
        attempts = self.attempts(call, patient=upload is not None)
        failure: Reply | httpx.RequestError
        while True:
            content, length = (call.content, None) if upload is None else (upload.pieces_async(), upload.length)
            try:
                seconds = self.patience_seconds(call, attempts, upload)
                response = await self._http.send(self.request(self._http, call, seconds, content, length))
            except httpx.RequestError as error:
                failure = error
            else:
                failure = Reply(response.status_code, response.headers, response.content)
                if failure.status not in RETRIED:
                    return body_of(failure)
            await asyncio.sleep(self.pause_after(attempts, failure, upload))

    async def pieces(self, call: Call) -> AsyncGenerator[bytes]:
        """See Sender."""
        attempts = self.attempts(call)
        failure: Reply | httpx.RequestError
        while True:
            try:
                response = await self._http.send(
                    self.request(self._http, call, self.timeout, call.content), stream=True
                )
            except httpx.RequestError as error:
                failure = error
            else:
                if response.status_code == 200:
                    break
                try:
                    failure = Reply(response.status_code, response.headers, await _read_async(response))
                finally:
                    await response.aclose()
                if failure.status not in RETRIED:
                    raise_problem(failure)
            await asyncio.sleep(self.pause_after(attempts, failure, None))
        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.RequestError as error:
            raise Interrupted(f"{CUT}: {reason_of(error)}") from error
        finally:
            await response.aclose()

    async def download(self, call: Call, file: IO[bytes]) -> None:
        """See Sender; a thread writes the file."""
        attempts = self.attempts(call, patient=True)
        while True:
            try:
                async for piece in self.pieces(call):
                    await asyncio.to_thread(file.write, piece)
            except Interrupted as error:
                await asyncio.sleep(attempts.pause_seconds(str(error)))
                file.seek(0)
                file.truncate()
            else:
                return

    async def close(self) -> None:
        """See Sender."""
        if self._owned:
            await self._http.aclose()


def reason_of(error: httpx.RequestError) -> str:
    """Why the call had no answer, where the same call may have one later. Raises UserMistake and BadAnswer else."""
    said = str(error) or type(error).__name__
    match error:
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            raise UserMistake(f"this cannot be sent by HTTP: {said}") from error
        case httpx.DecodingError() | httpx.TooManyRedirects():
            raise BadAnswer(f"the answer cannot be read: {said}") from error
        case httpx.TimeoutException():
            return f"no answer in time ({type(error).__name__})"
    return said


def _read(response: httpx.Response) -> bytes:
    try:
        return response.read()
    except httpx.RequestError:
        return b""  # its status has said enough


async def _read_async(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    except httpx.RequestError:
        return b""
