"""The latest requests."""

from collections.abc import Sequence

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, func, literal_column, select
from typing_extensions import TypedDict

from predictq.errors import UserMistake
from predictq_sync.database import Database
from predictq_sync.operation.newest import newest
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import predictions, requests

__all__ = ["RequestPage", "RequestReader", "RequestSummary"]

STATUSES = ("queued", "succeeded", "partial", "failed", "expired", "cancelled")
UNBLEMISHED = ("queued", "succeeded")
"""Where nobody asks for a reason."""
REASON_CHARACTERS = 200


class RequestSummary(TypedDict):
    """A request without what was answered but for what was wrong."""

    id: str
    endpoint: str
    status: str
    created_at: str
    completed_at: str | None
    """When its status last changed; null while it is queued."""
    metadata: dict[str, str] | None
    reason: str | None
    """The first 200 characters of the first error that a visible deployment gave; null where none did."""


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
            reasons = _reasons(connection, [row.id for row in rows if row.status not in UNBLEMISHED])
        found: list[RequestSummary] = [
            {
                "id": row.id,
                "endpoint": row.endpoint,
                "status": row.status,
                "created_at": row.created_at,
                "completed_at": row.completed_at,
                "metadata": None if row.metadata is None else from_json(row.metadata),
                "reason": reasons.get(row.id),
            }
            for row in rows
        ]
        return {"predictions": found, "next": following}


def _reasons(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if ids:
        for request_id, reason in connection.execute(_REASONS[connection.dialect.name], {"ids": json_ids(ids)}):
            if reason is not None:
                found.setdefault(request_id, reason)
    return found


# Taken out of the JSON by the database: a request of a job may have an error for each of its rows.
_REASONS = {
    dialect: select(predictions.c.request_id, func.substr(literal_column(first), 1, REASON_CHARACTERS))
    .where(among(predictions.c.request_id, bindparam("ids")), predictions.c.visible)
    .order_by(predictions.c.request_id, predictions.c.deployment)
    for dialect, first in (
        ("sqlite", "json_extract(errors, '$[0].detail')"),
        ("postgresql", "errors #>> '{0,detail}'"),
    )
}
_OF_ENDPOINT = select(
    requests.c.id,
    requests.c.endpoint,
    requests.c.status,
    requests.c.created_at,
    requests.c.completed_at,
    requests.c.metadata,
)
