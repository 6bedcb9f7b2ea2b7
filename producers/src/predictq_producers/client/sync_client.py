"""The client, for programs that wait."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, Unpack

import httpx

from predictq.errors import PredictqError, UserMistake
from predictq_producers.client.awaited import Awaited, ids_of
from predictq_producers.client.errors import NotFinished
from predictq_producers.client.exchange import (
    JobOptions,
    SubmitOptions,
    cancel_call,
    form_fields,
    job_call,
    jobs_call,
    result_call,
    source_call,
    submit_body,
    submit_call,
    upload_call,
)
from predictq_producers.client.frames import FrameRows, instances_of, read_table
from predictq_producers.client.listening import Listener, OnError, of_endpoint, of_requests
from predictq_producers.client.request import AT_ONCE, Request, batched_instances, numbered_key
from predictq_producers.client.result import Hold, Result
from predictq_producers.client.sending import Sender
from predictq_producers.client.sockets import finished
from predictq_producers.client.streaming import ResultStream
from predictq_producers.client.sync_job import Job
from predictq_producers.client.uploading import Upload

if TYPE_CHECKING:
    from predictq.settings import Settings
    from predictq_producers.client.direct import DirectClient

__all__ = ["Client"]


class Client:
    """Talks to a gateway. May be used by several threads; `close` it, or use it in a `with`.

    Every call may raise Rejected or NotFound, where it will never work as it is, and GatewayUnavailable, where it was
    tried again and again for `timeout` seconds.
    """

    def __init__(self, url: str, *, timeout: float = 60.0, http: httpx.Client | None = None) -> None:
        """`http` is a client of your own, with certificates, proxies or headers; you close it."""
        self._sender = Sender(url, timeout, http)

    @classmethod
    def direct(
        cls,
        settings: "Settings",
        *,
        gateway: str | None = None,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> "DirectClient":
        """A client that publishes on the broker of the settings itself; results it reads from `gateway`, a URL."""
        from predictq_producers.client.direct import DirectClient  # noqa: PLC0415 - the broker, for this alone

        return DirectClient(settings, None if gateway is None else cls(gateway, timeout=timeout, http=http), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def submit(
        self,
        endpoint: str,
        instances: Any,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Request:
        """Submit one request; returns when the broker holds it durably.

        `instances`: a list of objects or arrays, an array of numpy or a DataFrame. The same `idempotency_key` is the
        same request, whichever program sends it; without one each call is a request of its own, however often the
        client has to send it.
        """
        body = submit_body(instances_of(instances), options)
        return self._submit(endpoint, body, idempotency_key)

    def submit_many(
        self,
        endpoint: str,
        instances: Iterable[Any],
        *,
        instances_per_request: int = 100,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> list[Request]:
        """Submit any number of instances, as requests in their order; an iterator is never held as a whole.

        Where it raises, some may have been submitted, and the error's note says how many at least. With an
        `idempotency_key`, of at most 240 characters, the same call again submits only what is missing.
        """
        accepted: list[Request] = []
        running: deque[Future[Request]] = deque()
        with ThreadPoolExecutor(AT_ONCE, "submit") as threads:
            try:
                for number, some in enumerate(batched_instances(instances_of(instances), instances_per_request)):
                    body = submit_body(some, options)
                    running.append(threads.submit(self._submit, endpoint, body, numbered_key(idempotency_key, number)))
                    if len(running) >= AT_ONCE:
                        accepted.append(running.popleft().result())
                while running:
                    accepted.append(running.popleft().result())
            except PredictqError as error:
                error.add_note(f"{len(accepted)} requests were submitted before")
                raise
        return accepted

    def result(self, request_id: str, *, wait: float = 0.0) -> Result:
        """A request as it is, or as it is finished within `wait` seconds."""
        return self._held(Hold(wait), request_id)

    def results(self, requests: Iterable[Request | str], *, wait: float = 60.0) -> Iterator[Result]:
        """Each of many requests, handles or ids, as it is finished, in no order.

        All are waited for over one connection. Raises NotFinished, with one `id`, where some are open after `wait`
        seconds, and NotFound where there is no such request.
        """
        return finished(self._sender, Awaited(ids_of(requests)), seconds=wait)

    def on_result(
        self,
        source: str | Iterable[Request | str],
        callback: Callable[[Result], object],
        *,
        after: str | None = None,
        on_error: OnError | None = None,
    ) -> Listener:
        """Call a function, on a thread of its own, with each result of an endpoint, or of some requests.

        `source` is the name of an endpoint, from now on or from behind the cursor `after`, or requests, handles or ids,
        each told once. Whatever cuts the connection, it goes on behind the last result; one for which the function has
        not returned comes again to whoever goes on at the listener's `cursor`, so that each is told at least once.
        What the function raises is logged and handed to `on_error(error, result)`, and the next result follows; with
        the result None it is told that the gateway is away, or that something is lost (FellBehind). What `on_error`
        raises ends the listener. Raises NotFound and Rejected, and GatewayUnavailable never once it has begun.
        """
        if isinstance(source, str):
            listener = Listener(of_endpoint(self._sender, source, after), callback, on_error)
        elif after is None:
            listener = Listener(of_requests(self._sender, ids_of(source)), callback, on_error)
        else:
            raise UserMistake("after is a place in the stream of an endpoint; requests have none")
        return listener.start()

    def predict(
        self,
        endpoint: str,
        instances: Any,
        *,
        wait: float = 60.0,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Result:
        """Submit and wait; the arguments as of `submit`. Raises NotFinished after `wait` seconds, with the `id`."""
        hold = Hold(wait)
        body = submit_body(instances_of(instances), options)
        call = submit_call(endpoint, body, idempotency_key=idempotency_key, hold_seconds=hold.next_seconds())
        result = Result.of(self._sender.send(call))
        if not result.finished:
            result = self._held(hold, result.id)
        if not result.finished:
            raise NotFinished("request", result.id, wait)
        return result

    def stream(self, endpoint: str, *, after: str | None = None) -> ResultStream:
        """Every request of the endpoint that is finished from when the iteration begins, or behind the cursor `after`.

        A stream that is cut goes on where it ended, by itself; `cursor` of the stream is behind the last result, for a
        program that comes back later. Raises FellBehind where it was away for longer than that is kept.
        """
        return ResultStream(self._sender, endpoint, after)

    def cancel(self, request_id: str) -> Result:
        """Cancel a request; what is finished stays as it is."""
        return Result.of(self._sender.send(cancel_call(request_id)))

    def submit_file(
        self,
        endpoint: str,
        file: str | os.PathLike[str] | IO[bytes],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Upload a file, each row of which is predicted: CSV, JSON Lines, JSON, Parquet or Arrow, packed or not.

        It is sent a piece at a time, from where a file object stands. A stream that cannot go back is sent once.
        """
        upload = Upload(file, form_fields(options))
        try:
            call = upload_call(endpoint, upload.content_type, idempotency_key=idempotency_key)
            return Job(self._sender, self._sender.send(call, upload))
        finally:
            upload.close()

    def submit_source(
        self, endpoint: str, url: str, *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> Job:
        """Predict each row of a file that the service reads itself; `options` as of `submit_file`.

        The URL begins like one of `jobs.sources` of the settings, or it is Rejected.
        """
        call = source_call(endpoint, url, options, idempotency_key=idempotency_key)
        return Job(self._sender, self._sender.send(call))

    def predict_frame(
        self,
        endpoint: str,
        frame: Any,
        *,
        id_column: str | None = None,
        keep: Sequence[str] = (),
        timeout: float | None = None,
        progress: bool | None = None,
    ) -> Any:
        """Predict each row of a DataFrame of pandas or polars, by a job.

        The answer is a DataFrame of the same library with the same index and order of rows: the kept columns,
        `status`, the outputs, `error`. `timeout` seconds and `progress` as of `Job.wait`.
        """
        rows = FrameRows(frame, keep=keep, id_column=id_column)
        with TemporaryFile() as file:
            rows.write(file)
            job = self.submit_file(endpoint, file, keep=keep, id_column=id_column, format="parquet")
        return rows.answer(job.wait(timeout, progress=progress).read(read_table))

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return Job(self._sender, self._sender.send(job_call(job_id)))

    def jobs(self, *, endpoint: str | None = None, status: str | None = None) -> Iterator[Job]:
        """All jobs, the latest first, a page at a time."""
        cursor: str | None = None
        while True:
            page = self._sender.send(jobs_call(endpoint=endpoint, status=status, cursor=cursor))
            yield from (Job(self._sender, body) for body in page["jobs"])
            cursor = page["next"]
            if cursor is None:
                return

    def _held(self, hold: Hold, request_id: str) -> Result:
        while True:
            result = Result.of(self._sender.send(result_call(request_id, hold_seconds=hold.next_seconds())))
            pause = hold.pause_seconds(result)
            if pause is None:
                return result
            time.sleep(pause)

    def _submit(self, endpoint: str, body: bytes, idempotency_key: str | None) -> Request:
        accepted = self._sender.send(submit_call(endpoint, body, idempotency_key=idempotency_key))
        return Request(self, accepted["id"], endpoint)
