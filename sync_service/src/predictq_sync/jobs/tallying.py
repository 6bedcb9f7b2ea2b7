"""What became of the rows of chunks, counted from their requests."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, func, select

from predictq_sync.tables import job_requests, predictions, requests

__all__ = ["Tally", "tally"]


class Tally(NamedTuple):
    """Rows of one chunk."""

    requests: int = 0
    """Finished ones."""
    succeeded: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0

    def plus(self, status: str, count: int, rows: int) -> "Tally":
        """With so many rows more, in so many requests, all of one status."""
        if status == "queued":
            return self
        return self._replace(requests=self.requests + count, **{status: getattr(self, status) + rows})


def tally(connection: Connection, job_id: str, numbers: Sequence[int]) -> dict[int, Tally]:
    """Of those chunks of a job that have any requests. A row has failed where one of its answers is missing."""
    found: dict[int, Tally] = {}
    partial: list[int] = []
    asked = {"job": job_id, "first": min(numbers, default=0), "last": max(numbers, default=-1)}
    for chunk, status, count, rows in connection.execute(_BY_STATUS, asked):
        if chunk not in numbers:
            continue
        if status == "partial":
            partial.append(chunk)
            continue
        found[chunk] = found.get(chunk, Tally()).plus(status, count, rows)
    for chunk in partial:
        mixed: dict[str, tuple[int, list[tuple[str, str]]]] = {}
        for request_id, rows, status, errors in connection.execute(_PARTIAL, {"job": job_id, "chunk": chunk}):
            mixed.setdefault(request_id, (rows, []))[1].append((status, errors))
        known = found.get(chunk, Tally())
        for rows, answers in mixed.values():
            failed = _failed_rows(rows, answers)
            known = known.plus("succeeded", 1, rows - failed).plus("failed", 0, failed)
        found[chunk] = known
    return found


def _failed_rows(rows: int, answers: Iterable[tuple[str, str]]) -> int:
    failed: set[int] = set()
    for status, errors in answers:
        if status == "succeeded":
            continue
        indices = {error["index"] for error in from_json(errors)}
        if status != "partial" or None in indices:
            return rows
        failed |= indices
    return len(failed)


_BY_STATUS = (
    select(job_requests.c.chunk, requests.c.status, func.count(), func.sum(job_requests.c.rows))
    .join(requests, requests.c.id == job_requests.c.request_id)
    .where(
        job_requests.c.job_id == bindparam("job"),
        job_requests.c.chunk >= bindparam("first"),
        job_requests.c.chunk <= bindparam("last"),
    )
    .group_by(job_requests.c.chunk, requests.c.status)
)
_PARTIAL = (
    select(job_requests.c.request_id, job_requests.c.rows, predictions.c.status, predictions.c.errors)
    .join(requests, requests.c.id == job_requests.c.request_id)
    .join(predictions, predictions.c.request_id == job_requests.c.request_id)
    .where(
        job_requests.c.job_id == bindparam("job"),
        job_requests.c.chunk == bindparam("chunk"),
        requests.c.status == "partial",
        predictions.c.visible,
    )
)
