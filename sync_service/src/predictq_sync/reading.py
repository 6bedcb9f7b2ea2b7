"""What clients see of the database."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from pydantic_core import from_json
from sqlalchemy import Row, and_, bindparam, select
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq_sync.cancelling import Cancelling
from predictq_sync.database import Database
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import predictions, requests
from predictq_sync.watermark import read_watermark

__all__ = ["PredictionBody", "Reader", "RequestBody"]


class PredictionBody(TypedDict):
    """What one deployment answered."""

    deployment: str
    model_version: str | None
    """Null where no model was asked: cancelled before its turn."""
    status: str
    outputs: list[Any]
    errors: list[dict[str, Any]]
    batch_id: str | None
    created_at: str


class RequestBody(TypedDict):
    """A request and its visible predictions, as GET answers it (DESIGN §7)."""

    id: str
    endpoint: str | None
    """Null, as `created_at` may be, only in what is said of a request that the database does not hold yet."""
    status: str
    created_at: str | None
    deadline: NotRequired[str]
    metadata: NotRequired[dict[str, str]]
    predictions: list[PredictionBody]


class Reader:
    """Reads, and cancels, requests. May be used by several threads at a time; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cancel = Cancelling(database.dialect)

    def requests(self, ids: Sequence[str]) -> Mapping[str, RequestBody]:
        """Those of the ids that the database knows, each with the predictions that are there by now."""
        bodies: dict[str, RequestBody] = {}
        with self._database.read() as connection:
            for row in connection.execute(_READ, {"ids": json_ids(ids)}):
                body = bodies.get(row.id)
                if body is None:
                    body = bodies[row.id] = _request_body(row)
                if row.deployment is not None:
                    body["predictions"].append(_prediction_body(row))
        return bodies

    def watermark(self) -> float | None:
        """Unix seconds before which every accepted request is in the database; None when no ledger ever ran."""
        return read_watermark(self._database)

    def hash_of(self, request_id: str) -> str | None:
        """The hash of the instances that the id stands for; None when it is unknown."""
        with self._database.read() as connection:
            return connection.execute(_HASH, {"id": request_id}).scalar()

    def cancel(self, request_id: str, now: float) -> RequestBody | None:
        """Write `cancelled` for every visible deployment that has not answered; the request as it then is.

        None when the ledger does not have it yet. A request that is finished stays as it is.
        """
        with self._database.write() as connection:
            known = connection.execute(_LOCK, {"id": request_id}).one_or_none()
            if known is None:
                return None
            deployments = dict.fromkeys(from_json(known.deployments))
            self._cancel(connection, [(request_id, known.endpoint, name) for name in deployments], wire_time(now))
        return self.requests([request_id]).get(request_id)


def _request_body(row: Row[*tuple[Any, ...]]) -> RequestBody:
    body: RequestBody = {
        "id": row.id,
        "endpoint": row.endpoint,
        "status": row.status,
        "created_at": row.created_at,
        "predictions": [],
    }
    if row.deadline is not None:
        body["deadline"] = row.deadline
    if row.metadata is not None:
        body["metadata"] = from_json(row.metadata)
    return body


def _prediction_body(row: Row[*tuple[Any, ...]]) -> PredictionBody:
    return {
        "deployment": row.deployment,
        "model_version": row.model_version,
        "status": row.prediction_status,
        "outputs": from_json(row.outputs),
        "errors": from_json(row.errors),
        "batch_id": row.batch_id,
        "created_at": row.predicted_at,
    }


_READ = (
    select(
        requests.c.id,
        requests.c.endpoint,
        requests.c.status,
        requests.c.created_at,
        requests.c.deadline,
        requests.c.metadata,
        predictions.c.deployment,
        predictions.c.model_version,
        predictions.c.status.label("prediction_status"),
        predictions.c.outputs,
        predictions.c.errors,
        predictions.c.batch_id,
        predictions.c.created_at.label("predicted_at"),
    )
    .outerjoin(predictions, and_(predictions.c.request_id == requests.c.id, predictions.c.visible))
    .where(among(requests.c.id, bindparam("ids")))
    .order_by(requests.c.id, predictions.c.deployment)
)
_HASH = select(requests.c.instances_hash).where(requests.c.id == bindparam("id"))
_LOCK = (
    select(requests.c.endpoint, requests.c.deployments)
    .where(requests.c.id == bindparam("id"), requests.c.owed.is_not(None))
    .with_for_update()
)
