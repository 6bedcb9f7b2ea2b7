"""What came of each row of a job, in the order of its file, a chunk at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import Row, and_, bindparam, select

from predictq.chunkfile import read_chunk
from predictq.storage import NotInStorage, Storage
from predictq_sync.database import Database
from predictq_sync.jobs.outputs import Outputs
from predictq_sync.tables import chunks, job_requests, jobs, predictions, requests

__all__ = ["JobResults", "Page", "RowError"]


class Page(NamedTuple):
    """What came of the rows of one chunk, a list a column."""

    first_row: int
    """From 1, without the header."""
    statuses: list[str]
    """succeeded, failed, expired, cancelled or queued."""
    outputs: dict[str, Outputs]
    """By deployment."""
    errors: list[str | None]
    carried: dict[str, list[Any]]
    """Ids and what else was to be kept, by name."""


class RowError(NamedTuple):
    """Why a row has no result."""

    row: int
    column: str | None
    reason: str
    deployment: str | None
    """None where no model saw it."""
    value: Any
    """The row as it was."""


class JobResults:
    """Reads results from the database, and rows from the storage where they are asked for."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def deployments(self, job_id: str) -> Sequence[str]:
        """Those that have answered so far, in the order of their names."""
        with self._database.read() as connection:
            return connection.execute(_DEPLOYMENTS, {"job": job_id}).scalars().all()

    def pages(self, job_id: str) -> Iterator[Page]:
        """All rows that were cut, chunk by chunk. Raises DatabaseUnavailable, StorageUnavailable."""
        with self._database.read() as connection:
            over = connection.execute(_STATUS, {"job": job_id}).scalar() == "cancelled"
        for chunk in self._chunks(job_id):
            carried = from_json(chunk.carried)
            yield self._page(job_id, chunk, carried, unfinished="cancelled" if over else "queued")

    def errors(self, job_id: str) -> Iterator[Sequence[RowError]]:
        """All rows that failed so far, chunk by chunk."""
        for chunk in self._chunks(job_id):
            if chunk.state == "done" and not chunk.failed and not chunk.expired:
                continue
            yield self._errors_of(job_id, chunk)

    def _chunks(self, job_id: str) -> Sequence[Row[*tuple[Any, ...]]]:
        with self._database.read() as connection:
            return connection.execute(_CHUNKS, {"job": job_id}).all()

    def _page(self, job_id: str, chunk: Any, carried: list[str], *, unfinished: str) -> Page:
        first = chunk.first_row
        page = Page(first + 1, [unfinished] * chunk.rows, {}, [None] * chunk.rows, self._carried(chunk, carried))
        for answer in self._answers(job_id, chunk):
            if answer.deployment is not None:
                _add(page, answer, answer.first_row - first, unfinished)
        for refusal in self._refused(job_id, chunk):
            at = refusal["row"] - first
            page.statuses[at], page.errors[at] = "failed", _said(refusal)
        return page

    def _errors_of(self, job_id: str, chunk: Any) -> Sequence[RowError]:
        first = chunk.first_row
        found = [
            RowError(refusal["row"] + 1, refusal["column"], refusal["reason"], None, refusal["text"])
            for refusal in self._refused(job_id, chunk)
        ]
        failed: list[tuple[int, str, str]] = []
        for start, rows, _, deployment, answered, _, faults in self._answers(job_id, chunk):
            if deployment is None or answered == "succeeded":
                continue
            wrong = {error["index"]: error["detail"] for error in from_json(faults)}
            whole = wrong.pop(None, None)
            places = range(rows) if whole is not None or answered != "partial" else sorted(wrong)
            failed += [(start - first + at, deployment, wrong.get(at, whole) or answered) for at in places]
        if failed:
            values = self._values(chunk)
            for at, deployment, detail in failed:
                column, _, rest = detail.partition(": ")
                value = values.get(at)
                named = isinstance(value, dict) and column in value and bool(rest)
                reason = rest if named else detail
                found.append(RowError(first + at + 1, column if named else None, reason, deployment, value))
        return sorted(found, key=lambda error: (error.row, error.deployment or ""))

    def _answers(self, job_id: str, chunk: Any) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(_ANSWERS, {"job": job_id, "chunk": chunk.number}).all()

    def _refused(self, job_id: str, chunk: Any) -> Sequence[dict[str, Any]]:
        if not chunk.refused:
            return ()
        url = self._storage.url_of("jobs", job_id, "refused", f"{chunk.number:06d}.jsonl")
        try:
            with self._storage.open(url) as stream:
                return [from_json(line) for line in stream]
        except NotInStorage:
            return ()

    def _carried(self, chunk: Any, names: list[str]) -> dict[str, list[Any]]:
        if not names:
            return {}
        columns: dict[str, list[Any]] = {name: [None] * chunk.rows for name in names}
        for at, value in self._values(chunk, names if chunk.form == "arrow" else None).items():
            if isinstance(value, dict):
                for name, column in columns.items():
                    column[at] = value.get(name)
        return columns

    def _values(self, chunk: Any, columns: Sequence[str] | None = None) -> Mapping[int, Any]:
        """The rows of a chunk as they were, by their places."""
        try:
            with self._storage.open(chunk.url) as stream:
                found = read_chunk(stream, chunk.form, columns)
        except NotInStorage:
            return {}
        if found.names is None:
            return dict(zip(found.places, found.rows, strict=True))
        return {
            place: dict(zip(found.names, row, strict=True)) for place, row in zip(found.places, found.rows, strict=True)
        }


def _add(page: Page, answer: Any, at: int, unfinished: str) -> None:
    """What one deployment answered to the rows from `at` on."""
    end = at + answer.rows
    page.outputs.setdefault(answer.deployment, Outputs(len(page.statuses))).add(at, answer.outputs)
    if answer.answered == "succeeded":
        # An earlier deployment may have failed on some of them.
        if answer.status == "succeeded":
            page.statuses[at:end] = ["succeeded"] * answer.rows
        elif answer.status != "queued":
            page.statuses[at:end] = ["succeeded" if each == unfinished else each for each in page.statuses[at:end]]
        return
    wrong: dict[int | None, str] = {error["index"]: error["detail"] for error in from_json(answer.errors)}
    all_of_them = answer.answered != "partial"
    for index in range(answer.rows):
        place = at + index
        if all_of_them or index in wrong:
            page.statuses[place] = answer.answered if all_of_them else "failed"
            page.errors[place] = wrong.get(index, wrong.get(None))
        elif page.statuses[place] == unfinished and answer.status != "queued":
            page.statuses[place] = "succeeded"


def _said(refusal: Mapping[str, Any]) -> str:
    column, reason = refusal["column"], refusal["reason"]
    return f"{column}: {reason}" if column else reason


_STATUS = select(jobs.c.status).where(jobs.c.id == bindparam("job"))
_CHUNKS = select(chunks).where(chunks.c.job_id == bindparam("job")).order_by(chunks.c.number)
_DEPLOYMENTS = (
    select(predictions.c.deployment)
    .distinct()
    .join(job_requests, job_requests.c.request_id == predictions.c.request_id)
    .where(job_requests.c.job_id == bindparam("job"), predictions.c.visible)
    .order_by(predictions.c.deployment)
)
_ANSWERS = (
    select(
        job_requests.c.first_row,
        job_requests.c.rows,
        requests.c.status,
        predictions.c.deployment,
        predictions.c.status.label("answered"),
        predictions.c.outputs,
        predictions.c.errors,
    )
    .join(requests, requests.c.id == job_requests.c.request_id)
    .outerjoin(predictions, and_(predictions.c.request_id == job_requests.c.request_id, predictions.c.visible))
    .where(job_requests.c.job_id == bindparam("job"), job_requests.c.chunk == bindparam("chunk"))
    .order_by(job_requests.c.first_row, predictions.c.deployment)
)
