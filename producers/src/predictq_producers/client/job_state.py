"""A job as the gateway told of it last."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import IO, Any

from pydantic_core import from_json

from predictq.errors import UserMistake
from predictq_producers.client.errors import JobFailed, NotFinished

__all__ = ["FORMATS", "JobState", "Lines", "Polling", "form_of"]

FORMATS = ("csv", "jsonl", "parquet")
FIRST_SECONDS = 0.1
MOST_SECONDS = 1.0
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
NOTHING_YET = {"total": None, "succeeded": 0, "failed": 0, "expired": 0, "cancelled": 0, "queued": 0}


class JobState:
    """What is known of a job, as `body` says in the words of docs/http.md."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    def __repr__(self) -> str:
        done, total = self.done_rows, self.counts["total"]
        return f"<{type(self).__name__} {self.id} {self.status}, {done} of {'?' if total is None else total} rows>"

    @property
    def id(self) -> str:
        """Of the job."""
        return str(self.body["id"])

    @property
    def endpoint(self) -> str | None:
        """None in the first moment, when the ledger has not come to it."""
        endpoint: str | None = self.body.get("endpoint")
        return endpoint

    @property
    def status(self) -> str:
        """`queued`, `running`, `completed`, `failed` or `cancelled`."""
        return str(self.body["status"])

    @property
    def counts(self) -> Mapping[str, Any]:
        """Rows: `total` (None until the file was read to its end), and by what became of them."""
        counts: Mapping[str, Any] = self.body.get("counts", NOTHING_YET)
        return counts

    @property
    def done_rows(self) -> int:
        """Rows that stay as they are."""
        return sum(self.counts[name] for name in ("succeeded", "failed", "expired", "cancelled"))

    @property
    def finished(self) -> bool:
        """Whether it stays as it is."""
        return self.status not in {"queued", "running"}

    @property
    def reason(self) -> str | None:
        """Why it failed."""
        reason: str | None = self.body.get("reason")
        return reason

    def check(self) -> None:
        """Raises JobFailed where the job has failed or was cancelled."""
        if self.status in {"failed", "cancelled"}:
            raise JobFailed(self.body)


class Polling:
    """Waits for a job by looking at it, at first often."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """For at most so many seconds; None: as long as it takes."""
        self._seconds = seconds
        self._clock = clock
        self._started = clock()
        self._pause = FIRST_SECONDS

    def pause_seconds(self, job: JobState) -> float:
        """Until the next look. Raises NotFinished."""
        pause = self._pause
        self._pause = min(self._pause * 1.5, MOST_SECONDS)
        if self._seconds is None:
            return pause
        left = self._started + self._seconds - self._clock()
        if left <= 0:
            raise NotFinished("job", job.id, self._seconds)
        return min(pause, left)


class Lines:
    """JSON Lines out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, piece: bytes) -> Iterator[Any]:
        """The values that have become whole."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield from_json(line)


def form_of(path: str | PurePath | IO[bytes], form: str | None) -> str:
    """The format of a result file: what is asked for, else what its name says. Raises UserMistake."""
    if form is None and not isinstance(path, str | PurePath):
        form = "csv"
    if form is None:
        suffix = PurePath(path).suffix.lower()  # type: ignore[arg-type] # narrowed above
        form = SUFFIXES.get(suffix, f"of {suffix!r}")
    if form not in FORMATS:
        raise UserMistake(f"there is no format {form} of results; {', '.join(FORMATS)} would be right")
    return form
