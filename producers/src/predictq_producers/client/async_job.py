"""A job and what can be done with it, awaited."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

from predictq_producers.client.bars import Bar
from predictq_producers.client.exchange import cancel_job_call, errors_call, job_call, results_call
from predictq_producers.client.frames import read_pandas, read_polars
from predictq_producers.client.job_state import JobState, Lines, Polling, form_of
from predictq_producers.client.saving import replacing
from predictq_producers.client.sending import AsyncSender

__all__ = ["AsyncJob"]


class AsyncJob(JobState):
    """A job. What it knows is as old as its last `refresh`, `wait` or `cancel`."""

    def __init__(self, sender: AsyncSender, body: Mapping[str, Any]) -> None:
        super().__init__(body)
        self._sender = sender

    async def refresh(self) -> Self:
        """Ask how far it is; the same object."""
        self.body = await self._sender.send(job_call(self.id))
        return self

    async def wait(self, timeout: float | None = None, *, progress: bool | None = None) -> Self:
        """Return once it is completed; the same object.

        Within `timeout` seconds, else NotFinished is raised, and JobFailed where it fails or was cancelled. With
        `progress` None a bar is drawn on a terminal and in a notebook, with True in any case, with False never.
        """
        polling = Polling(timeout)
        with Bar(progress) as bar:
            while True:
                bar.show(await self.refresh())
                if self.finished:
                    break
                await asyncio.sleep(polling.pause_seconds(self))
        self.check()
        return self

    async def cancel(self) -> Self:
        """Give it up: what is not predicted yet never will be. What is over stays as it is; the same object."""
        self.body = await self._sender.send(cancel_job_call(self.id))
        return self

    def results(self, format: str = "csv") -> AsyncIterator[bytes]:  # noqa: A002 - as the gateway calls it
        """The result file in pieces, as `csv`, `jsonl` or `parquet`; while it runs, as far as it is.

        Raises Interrupted where it is cut off.
        """
        return self._sender.pieces(results_call(self.id, form_of("", format)))

    async def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:  # noqa: A002 - see above
        """Write the result file, in the format that its name ends with; it is there as a whole or not at all."""
        place = Path(path)
        call = results_call(self.id, form_of(place, format))
        with replacing(place) as file:
            await self._sender.download(call, file)
        return place

    async def to_pandas(self) -> Any:
        """The results as a `pandas.DataFrame`."""
        return await self.read(read_pandas)

    async def to_polars(self) -> Any:
        """The results as a `polars.DataFrame`."""
        return await self.read(read_polars)

    async def read(self, reader: Callable[[IO[bytes]], Any]) -> Any:
        """What `reader` makes of the results as a Parquet file, which is there no longer than it runs."""
        with TemporaryFile() as file:
            await self._sender.download(results_call(self.id, "parquet"), file)
            return await asyncio.to_thread(reader, file)

    async def errors(self) -> AsyncIterator[dict[str, Any]]:
        """The rows that failed: `row` (from 1), `column`, `reason`, `deployment`, and `value`, the row as it was."""
        lines = Lines()
        async for piece in self._sender.pieces(errors_call(self.id)):
            for each in lines.of(piece):
                yield each
