"""The latest requests."""

from collections.abc import Sequence

from pydantic_core import from_json
from sqlalchemy import select
from typing_extensions import TypedDict

from predictq.errors import UserMistake
from predictq_sync.database import Database
from predictq_sync.operation.newest import newest
from predictq_sync.tables import requests

__all__ = ["RequestPage", "RequestReader", "RequestSummary"]

STATUSES = ("queued", "succeeded", "partial", "failed", "expired", "cancelled")


class RequestSummary(TypedDict):
    """A request without what was answered."""

    id: str
    endpoint: str
    status: str
    created_at: str
    completed_at: str | None
    """When its status last changed; null while it is queued."""
    metadata: dict[str, str] | None


class RequestPage(TypedDict):
    """Requests, the latest first."""

    predictions: list[RequestSummary]
    next: str | None
    """Cursor of the next page, which may be there although this one is short, or empty; null where there is none."""


class RequestReader:
    """Reads requests. Blocks; may be used by any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, endpoints: Sequence[str], *, status: str | None, cursor: str | None, limit: int) -> RequestPage:
        """Some requests of these endpoints, the latest first. Raises UserMistake for a status or cursor that is none.

        Those of one status are looked for among so many and no further, for no index knows it: every request changes
        its status, and on PostgreSQL the second version of its row is to need no new entry anywhere.
        """
        if status is not None and status not in STATUSES:
            raise UserMistake(f"status {status[:40]!r} is none of a request; {', '.join(STATUSES)} are")
        with self._database.read() as connection:
            rows, following = newest(
                connection,
                [_OF_ENDPOINT.where(requests.c.endpoint == endpoint) for endpoint in endpoints],
                at=requests.c.created_at,
                row_id=requests.c.id,
                conditions=[] if status is None else [requests.c.status == status],
                cursor=cursor,
                limit=limit,
            )
        found: list[RequestSummary] = [
            {
                "id": row.id,
                "endpoint": row.endpoint,
                "status": row.status,
                "created_at": row.created_at,
                "completed_at": row.completed_at,
                "metadata": None if row.metadata is None else from_json(row.metadata),
            }
            for row in rows
        ]
        return {"predictions": found, "next": following}


_OF_ENDPOINT = select(
    requests.c.id,
    requests.c.endpoint,
    requests.c.status,
    requests.c.created_at,
    requests.c.completed_at,
    requests.c.metadata,
)
