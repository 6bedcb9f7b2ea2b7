"""The client, for programs that await."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self, Unpack

import httpx

from predictq.errors import PredictqError
from predictq_producers.client.async_job import AsyncJob
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
from predictq_producers.client.request import AT_ONCE, AsyncRequest, batched_instances, numbered_key
from predictq_producers.client.result import Hold, Result
from predictq_producers.client.sending import AsyncSender
from predictq_producers.client.sockets import finished_async
from predictq_producers.client.streaming import AsyncResultStream
from predictq_producers.client.uploading import Upload

__all__ = ["AsyncClient"]


class AsyncClient:
    """Talks to a gateway, for the coroutines of one event loop; `close` it, or use it in an `async with`.

    Every call may raise Rejected or NotFound, where it will never work as it is, and GatewayUnavailable, where it was
    tried again and again for `timeout` seconds.
    """

    def __init__(self, url: str, *, timeout: float = 60.0, http: httpx.AsyncClient | None = None) -> None:
        """`http` is a client of your own, with certificates, proxies or headers; you close it."""
        self._sender = AsyncSender(url, timeout, http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    async def submit(
        self,
        endpoint: str,
        instances: Any,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncRequest:
        """Submit one request; returns when the broker holds it durably.

        `instances`: a list of objects or arrays, an array of numpy or a DataFrame. The same `idempotency_key` is the
        same request, whichever program sends it; without one each call is a request of its own, however often the
        client has to send it.
        """
        body = submit_body(instances_of(instances), options)
        return await self._submit(endpoint, body, idempotency_key)

    async def submit_many(
        self,
        endpoint: str,
        instances: Iterable[Any],
        *,
        instances_per_request: int = 100,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> list[AsyncRequest]:
        """Submit any number of instances, as requests in their order; an iterator is never held as a whole.

        Where it raises, some may have been submitted, and the error's note says how many at least. With an
        `idempotency_key`, of at most 240 characters, the same call again submits only what is missing.
        """
        accepted: list[AsyncRequest] = []
        running: deque[asyncio.Task[AsyncRequest]] = deque()
        try:
            for number, some in enumerate(batched_instances(instances_of(instances), instances_per_request)):
                call = self._submit(endpoint, submit_body(some, options), numbered_key(idempotency_key, number))
                running.append(asyncio.create_task(call))
                if len(running) >= AT_ONCE:
                    accepted.append(await running[0])
                    running.popleft()
            while running:
                accepted.append(await running[0])
                running.popleft()
        except PredictqError as error:
            error.add_note(f"{len(accepted)} requests were submitted before")
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return accepted

    async def result(self, request_id: str, *, wait: float = 0.0) -> Result:
        """A request as it is, or as it is finished within `wait` seconds."""
        return await self._held(Hold(wait), request_id)

    def results(self, requests: Iterable[AsyncRequest | str], *, wait: float = 60.0) -> AsyncIterator[Result]:
        """Each of many requests as it is finished, for an `async for`; see Client.results."""
        return finished_async(self._sender, Awaited(ids_of(requests)), seconds=wait)

    async def predict(
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
        result = Result.of(await self._sender.send(call))
        if not result.finished:
            result = await self._held(hold, result.id)
        if not result.finished:
            raise NotFinished("request", result.id, wait)
        return result

    def stream(self, endpoint: str, *, after: str | None = None) -> AsyncResultStream:
        """Every request of the endpoint that is finished, for an `async for`; see Client.stream."""
        return AsyncResultStream(self._sender, endpoint, after)

    async def cancel(self, request_id: str) -> Result:
        """Cancel a request; what is finished stays as it is."""
        return Result.of(await self._sender.send(cancel_call(request_id)))

    async def submit_file(
        self,
        endpoint: str,
        file: str | os.PathLike[str] | IO[bytes],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> AsyncJob:
        """Upload a file, each row of which is predicted: CSV, JSON Lines, JSON, Parquet or Arrow, packed or not.

        It is sent a piece at a time, from where a file object stands. A stream that cannot go back is sent once.
        """
        upload = Upload(file, form_fields(options))
        try:
            call = upload_call(endpoint, upload.content_type, idempotency_key=idempotency_key)
            return AsyncJob(self._sender, await self._sender.send(call, upload))
        finally:
            upload.close()

    async def submit_source(
        self, endpoint: str, url: str, *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> AsyncJob:
        """Predict each row of a file that the service reads itself; `options` as of `submit_file`.

        The URL begins like one of `jobs.sources` of the settings, or it is Rejected.
        """
        call = source_call(endpoint, url, options, idempotency_key=idempotency_key)
        return AsyncJob(self._sender, await self._sender.send(call))

    async def predict_frame(
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
            await asyncio.to_thread(rows.write, file)
            job = await self.submit_file(endpoint, file, keep=keep, id_column=id_column, format="parquet")
        await job.wait(timeout, progress=progress)
        return await asyncio.to_thread(rows.answer, await job.read(read_table))

    async def job(self, job_id: str) -> AsyncJob:
        """A job as it is now."""
        return AsyncJob(self._sender, await self._sender.send(job_call(job_id)))

    async def jobs(self, *, endpoint: str | None = None, status: str | None = None) -> AsyncIterator[AsyncJob]:
        """All jobs, the latest first, a page at a time."""
        cursor: str | None = None
        while True:
            page = await self._sender.send(jobs_call(endpoint=endpoint, status=status, cursor=cursor))
            for body in page["jobs"]:
                yield AsyncJob(self._sender, body)
            cursor = page["next"]
            if cursor is None:
                return

    async def _held(self, hold: Hold, request_id: str) -> Result:
        while True:
            result = Result.of(await self._sender.send(result_call(request_id, hold_seconds=hold.next_seconds())))
            pause = hold.pause_seconds(result)
            if pause is None:
                return result
            await asyncio.sleep(pause)

    async def _submit(self, endpoint: str, body: bytes, idempotency_key: str | None) -> AsyncRequest:
        accepted = await self._sender.send(submit_call(endpoint, body, idempotency_key=idempotency_key))
        return AsyncRequest(self, accepted["id"], endpoint)
