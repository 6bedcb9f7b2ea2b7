"""Starting a job from a process that reaches broker and storage itself: a watcher, a scheduler, an event."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from predictq.brokers.port import Producer
from predictq.ids import new_id
from predictq.storage import Storage
from predictq_producers.jobs.faults import BadFile, FileChanging
from predictq_producers.jobs.submitting import JobMaker

__all__ = ["JobStarter"]

COPY_BYTES = 1 << 20


class JobStarter:
    """Starts jobs; the same id is one job, however often it is started."""

    def __init__(self, maker: JobMaker, storage: Storage, open_producer: Callable[[], Producer]) -> None:
        self._maker = maker
        self._storage = storage
        self._open_producer = open_producer
        self._producer: Producer | None = None

    def of_file(
        self,
        endpoint: str,
        job_id: str,
        file: Path,
        options: Mapping[str, Any],
        *,
        is_whole: Callable[[], bool] = lambda: True,
    ) -> None:
        """Copy a file of this machine into the storage and start a job on the copy.

        `is_whole` is asked when it is copied. Raises FileChanging where it says no, Refused for options that are
        wrong, OSError where the file cannot be opened, BadFile where it cannot be read on, Unavailable.
        """
        self._maker.check(endpoint)
        place = ("jobs", job_id, "uploads", new_id(), "rows")
        message = self._maker.of_upload(endpoint, job_id, self._storage.url_of(*place), file.name, options)
        with file.open("rb") as source, self._storage.writing(*place) as copy:
            for part in _parts(source):
                copy.write(part)
            if not is_whole():
                raise FileChanging(f"{file.name} is still written to")
        self._publish(message)

    def of_source(self, endpoint: str, job_id: str, url: str, options: Mapping[str, Any]) -> None:
        """Start a job on a file that lies elsewhere. Raises Refused unless the settings allow it, Unavailable."""
        self._maker.check(endpoint)
        self._publish(self._maker.of_source(endpoint, job_id, url, options))

    def close(self) -> None:
        """Close the connection to the broker."""
        if self._producer is not None:
            self._producer.close()

    def _publish(self, message: Any) -> None:
        if self._producer is None:
            self._producer = self._open_producer()
        self._producer.publish([message])


def _parts(source: IO[bytes]) -> Iterator[bytes]:
    """Its own errors, told apart from those of the storage that it is written to."""
    try:
        while part := source.read(COPY_BYTES):
            yield part
    except OSError as error:
        raise BadFile(f"the file cannot be read on: {error.strerror or error}") from error
