"""The whole way of one request: who was asked, in which mini-batch, by which worker, what came out, who was told."""

from typing import Any

from pydantic_core import from_json
from sqlalchemy import Row, bindparam, select
from typing_extensions import TypedDict

from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.operation.letters import LetterBody, LetterReader
from predictq_sync.reading import RequestBody
from predictq_sync.tables import batches, job_requests, predictions, requests
from predictq_sync.webhooks.reading import DeliveryBody, DeliveryReader

__all__ = ["JobPlace", "MiniBatch", "WayBody", "WayPrediction", "WayReader", "way_of_queued"]

MOST_DELIVERIES = 100


class JobPlace(TypedDict):
    """Which rows of a job a request holds."""

    id: str
    chunk: int
    first_row: int
    rows: int


class MiniBatch(TypedDict):
    """The call of the model that a request was in."""

    id: str
    worker: str
    requests: int
    size: int
    """Instances."""
    ingested_at: str
    """When the oldest of its requests was published."""
    started_at: str
    finished_at: str
    status: str


class WayPrediction(TypedDict):
    """What one deployment answered, shadows too."""

    deployment: str
    visible: bool
    status: str
    model_version: str | None
    outputs: list[Any]
    errors: list[dict[str, Any]]
    redrive: int
    created_at: str
    batch: MiniBatch | None
    """Null where no model was asked, and where the record of the mini-batch is not there."""


class WayBody(TypedDict):
    """Everything known of one request."""

    id: str
    endpoint: str | None
    """Null, as `created_at` may be, only while the ledger has the request still to come to."""
    status: str
    created_at: str | None
    deadline: str | None
    completed_at: str | None
    metadata: dict[str, str] | None
    job: JobPlace | None
    predictions: list[WayPrediction]
    owed: list[str]
    """Deployments that have not answered yet."""
    dead_letters: list[LetterBody]
    """The latest hundred."""
    deliveries: list[DeliveryBody]
    """The latest hundred."""


class WayReader:
    """Reads ways. Blocks; may be used by any thread."""

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._letters = LetterReader(database, names)
        self._deliveries = DeliveryReader(database)

    def way(self, request_id: str) -> WayBody | None:
        """The way of a request (a UUID in its canonical form); None where the database does not have it."""
        with self._database.read() as connection:
            rows = connection.execute(_READ, {"id": request_id}).all()
            if not rows:
                return None
            letters = self._letters.of_request(connection, request_id)
        first = rows[0]
        answers = {row.deployment: _prediction(row) for row in rows if row.deployment is not None}
        asked = [] if first.deployments is None else from_json(first.deployments)
        return {
            "id": request_id,
            "endpoint": first.endpoint,
            "status": first.status,
            "created_at": first.created_at,
            "deadline": first.deadline,
            "completed_at": first.completed_at,
            "metadata": None if first.metadata is None else from_json(first.metadata),
            "job": _job(first),
            "predictions": list(answers.values()),
            "owed": [name for name in dict.fromkeys(asked) if name not in answers or not answers[name]["visible"]],
            "dead_letters": letters,
            "deliveries": self._deliveries.page(subject=request_id, limit=MOST_DELIVERIES)["deliveries"],
        }


def way_of_queued(body: RequestBody) -> WayBody:
    """Of a request that the database does not have yet."""
    return {
        "id": body["id"],
        "endpoint": body["endpoint"],
        "status": body["status"],
        "created_at": body["created_at"],
        "deadline": None,
        "completed_at": None,
        "metadata": None,
        "job": None,
        "predictions": [],
        "owed": [],
        "dead_letters": [],
        "deliveries": [],
    }


def _job(row: Row[*tuple[Any, ...]]) -> JobPlace | None:
    if row.job_id is None:
        return None
    return {"id": row.job_id, "chunk": row.chunk, "first_row": row.first_row, "rows": row.rows}


def _prediction(row: Row[*tuple[Any, ...]]) -> WayPrediction:
    batch: MiniBatch | None = None
    if row.batch_id is not None:
        batch = {
            "id": row.batch_id,
            "worker": row.worker,
            "requests": row.batch_requests,
            "size": row.size,
            "ingested_at": row.ingested_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "status": row.batch_status,
        }
    return {
        "deployment": row.deployment,
        "visible": row.visible,
        "status": row.prediction_status,
        "model_version": row.model_version,
        "outputs": from_json(row.outputs),
        "errors": from_json(row.errors),
        "redrive": row.redrive,
        "created_at": row.predicted_at,
        "batch": batch,
    }


_READ = (
    select(
        requests.c.endpoint,
        requests.c.deployments,
        requests.c.status,
        requests.c.metadata,
        requests.c.created_at,
        requests.c.deadline,
        requests.c.completed_at,
        job_requests.c.job_id,
        job_requests.c.chunk,
        job_requests.c.first_row,
        job_requests.c.rows,
        predictions.c.deployment,
        predictions.c.visible,
        predictions.c.status.label("prediction_status"),
        predictions.c.model_version,
        predictions.c.outputs,
        predictions.c.errors,
        predictions.c.redrive,
        predictions.c.created_at.label("predicted_at"),
        batches.c.id.label("batch_id"),
        batches.c.worker,
        batches.c.requests.label("batch_requests"),
        batches.c.size,
        batches.c.ingested_at,
        batches.c.started_at,
        batches.c.finished_at,
        batches.c.status.label("batch_status"),
    )
    .outerjoin_from(requests, job_requests, job_requests.c.request_id == requests.c.id)
    .outerjoin(predictions, predictions.c.request_id == requests.c.id)
    .outerjoin(batches, batches.c.id == predictions.c.batch_id)
    .where(requests.c.id == bindparam("id"))
    # A file that changed while it was read is cut anew, and a request may be of two chunks: the later one is told.
    .order_by(job_requests.c.chunk.desc(), predictions.c.deployment)
)
