"""Result files: written where a job asked for them, when it is over.

Each is written by one process at a time, which holds a claim on it: a column that says until when. A file that could
not be finished, because its process was killed or the disk is full, is written again as a whole: nobody sees a half.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote
from uuid import uuid4

from sqlalchemy import Row, and_, bindparam, literal_column, or_, select, update

from predictq.clock import parse_time, wire_time
from predictq.errors import DatabaseUnavailable
from predictq.loop import Backoff, Stop
from predictq.storage import Storage, local_path
from predictq_sync.database import Database
from predictq_sync.jobs.results import JobResults
from predictq_sync.jobs.writing import write_results
from predictq_sync.tables import chunks, job_requests, job_results, jobs, requests
from predictq_sync.watermark import read_watermark

__all__ = ["ResultFiles"]

log = logging.getLogger(__name__)

CLAIM_SECONDS = 30.0
"""How long a claim lasts that is not renewed: then a file that a killed process had begun is written by another."""
MAX_RETRY_SECONDS = 60.0
CANCELLED_SECONDS = 3.0
"""After a job was cancelled, so long its last requests may take to be so too."""
PUBLISH_SECONDS = 1.0
"""Between the time that an event carries and its publishing."""
LEFT_SECONDS = 600.0
"""Unfinished files beside a result are nobody's any more when they were not written to for so long."""


class ResultFiles:
    """Writes what is due. Several processes may do so at once: each file is written by one of them."""

    def __init__(
        self,
        database: Database,
        results: JobResults,
        options: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options` are those of fsspec's adapter for the URLs."""
        self._database = database
        self._results = results
        self._options = options
        self._clock = clock
        self._monotonic = monotonic
        self._failing: dict[str, tuple[Backoff, float]] = {}
        """By job, when it is tried again."""

    def __call__(self, stop: Stop) -> None:
        """Write all files that are due. Raises DatabaseUnavailable."""
        due = self._due()
        self._failing = {
            job: failing for job, failing in self._failing.items() if any(job == row.job_id for row in due)
        }
        for row in due:
            if stop.is_set():
                return
            if row.job_id not in self._failing or self._failing[row.job_id][1] <= self._monotonic():
                self._deliver(row, stop)

    def _due(self) -> list[Row[*tuple[Any, ...]]]:
        cancelled_before = wire_time(self._clock() - CANCELLED_SECONDS)
        with self._database.read() as connection:
            found = connection.execute(_DUE, {"cancelled_before": cancelled_before}).all()
        if any(row.status == "failed" for row in found):
            # Chunks that were announced before the job failed may still be on their way into the ledger.
            known_until = read_watermark(self._database) or 0.0
            found = [
                row
                for row in found
                if row.status != "failed" or parse_time(row.completed_at) + PUBLISH_SECONDS < known_until
            ]
        return list(found)

    def _deliver(self, row: Row[*tuple[Any, ...]], stop: Stop) -> None:
        claim = _Claim(self._database, row.job_id, self._clock)
        if not claim.take():
            return
        if row.status == "failed" and not row.chunks:
            claim.end(state="none", error="the job failed before any row was read")
            return
        began = self._monotonic()
        try:
            self._write(row, claim, stop)
        except _NotNow:
            claim.give_back()
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - of whatever storage it is
            self._failed(row.job_id, claim, error)
        else:
            self._failing.pop(row.job_id, None)
            claim.end(state="written", written_at=wire_time(self._clock()))
            log.info("job %s: results written to %s in %.1f s", row.job_id, row.url, self._monotonic() - began)

    def _write(self, row: Row[*tuple[Any, ...]], claim: "_Claim", stop: Stop) -> None:
        """Raises _NotNow, and whatever the storage does; then there is no file."""
        deployments = self._results.deployments(row.job_id)
        with _file(row.url, self._options) as stream:
            for part in write_results(self._results.pages(row.job_id), deployments, row.format):
                if stop.is_set() or not claim.keep():
                    raise _NotNow
                stream.write(part)
            if not claim.renew():
                raise _NotNow

    def _failed(self, job_id: str, claim: "_Claim", error: Exception) -> None:
        reason = " ".join(str(error).split())[:1000] or type(error).__name__
        backoff, _ = self._failing.get(job_id, (Backoff(first_seconds=1.0, max_seconds=MAX_RETRY_SECONDS), 0.0))
        seconds = backoff.next_seconds()
        self._failing[job_id] = backoff, self._monotonic() + seconds
        log.warning("job %s: its results cannot be written: %s; next try in %.1f s", job_id, reason, seconds)
        log.debug("job %s", job_id, exc_info=error)
        claim.end(state="open", error=reason)


class _NotNow(Exception):
    """The process ends, or the file is another one's to write."""


class _Claim:
    """The right to write one file."""

    def __init__(self, database: Database, job_id: str, clock: Callable[[], float]) -> None:
        self._database = database
        self._job_id = job_id
        self._clock = clock
        self._holder = uuid4().hex
        self._mine: str | None = None
        self._until = 0.0

    def take(self) -> bool:
        """Whether nobody else is at it."""
        return self._change(_TAKE, {"now": wire_time(self._clock()), "new": self._next()})

    def keep(self) -> bool:
        """Whether it is still this one's; asked while the file is written."""
        return self._until - self._clock() > CLAIM_SECONDS / 2 or self.renew()

    def renew(self) -> bool:
        """The same, for the whole time from now on."""
        return self._change(_CHANGE, {"mine": self._mine, "new": self._next()})

    def end(self, *, state: str, written_at: str | None = None, error: str | None = None) -> None:
        """Write down what came of it, unless another one has taken over."""
        with self._database.write() as connection:
            said = {"state": state, "written_at": written_at, "error": error}
            connection.execute(_END, {"job": self._job_id, "mine": self._mine, **said})

    def give_back(self) -> None:
        """Let another one take it at once."""
        self._change(_CHANGE, {"mine": self._mine, "new": None})

    def _next(self) -> str:
        self._until = self._clock() + CLAIM_SECONDS
        return f"{wire_time(self._until)} {self._holder}"

    def _change(self, statement: Any, values: Mapping[str, str | None]) -> bool:
        with self._database.write() as connection:
            changed = connection.execute(statement, {"job": self._job_id, **values}).rowcount == 1
        if changed:
            self._mine = values["new"]
        return changed


@contextmanager
def _file(url: str, options: Mapping[str, Any]) -> Iterator[IO[bytes]]:
    """The file, which is there as a whole once the block has ended."""
    folder, _, name = url.rpartition("/")
    path = local_path(url)
    if path is not None:
        _sweep(path)
        folder, name = "file:///" if folder == "file://" else folder, unquote(name)
    with Storage(folder, options).writing(name) as stream:
        yield stream


def _sweep(path: Path) -> None:
    """Delete what processes that were killed have left of it."""
    left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}")
    with suppress(OSError):
        for beside in path.parent.iterdir():
            if left.fullmatch(beside.name) and beside.stat().st_mtime < time.time() - LEFT_SECONDS:
                beside.unlink(missing_ok=True)


_HAS_CHUNKS = select(chunks.c.number).where(chunks.c.job_id == jobs.c.id)
_OPEN_REQUESTS = (
    select(requests.c.id)
    .join(job_requests, job_requests.c.request_id == requests.c.id)
    .where(job_requests.c.job_id == jobs.c.id, requests.c.status == "queued")
)
# A word, not a parameter: neither database would take its index of the open ones otherwise.
_IS_OPEN = job_results.c.state == literal_column("'open'")
_DUE = (
    select(
        job_results.c.job_id,
        job_results.c.url,
        job_results.c.format,
        jobs.c.status,
        jobs.c.completed_at,
        _HAS_CHUNKS.exists().label("chunks"),
    )
    .join(jobs, jobs.c.id == job_results.c.job_id)
    .where(
        _IS_OPEN,
        or_(
            jobs.c.status == "completed",
            and_(jobs.c.status == "failed", ~_HAS_CHUNKS.where(chunks.c.state != "done").exists()),
            and_(
                jobs.c.status == "cancelled",
                jobs.c.completed_at < bindparam("cancelled_before"),
                ~_OPEN_REQUESTS.exists(),
            ),
        ),
    )
    .order_by(jobs.c.completed_at)
)
_OPEN = and_(job_results.c.job_id == bindparam("job"), job_results.c.state == "open")
_MINE = and_(_OPEN, job_results.c.claim == bindparam("mine"))
_TAKE = (
    update(job_results)
    .where(_OPEN, or_(job_results.c.claim.is_(None), job_results.c.claim < bindparam("now")))
    .values(claim=bindparam("new"))
)
_CHANGE = update(job_results).where(_MINE).values(claim=bindparam("new"))
_END = (
    update(job_results)
    .where(_MINE)
    .values(claim=None, **{name: bindparam(name) for name in ("state", "written_at", "error")})
)
