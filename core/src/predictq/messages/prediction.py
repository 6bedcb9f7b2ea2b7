"""`predictq.prediction.v1`: what one deployment answered to one request."""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from predictq.ids import derived_id
from predictq.messages.envelope import Codec, Envelope, Hash, Id, Name

__all__ = [
    "PREDICTION",
    "PREDICTION_TYPE",
    "InstanceError",
    "PredictionData",
    "PredictionEvent",
    "Status",
    "prediction_id",
]

PREDICTION_TYPE: Literal["predictq.prediction.v1"] = "predictq.prediction.v1"

Status = Literal["succeeded", "partial", "failed", "expired", "cancelled"]


class InstanceError(TypedDict):
    """Why an instance, or with `index` null the whole request, has no output."""

    index: int | None
    type: str
    detail: str


class PredictionData(TypedDict):
    """The body of a prediction."""

    request_id: Id
    endpoint: Name
    deployment: Name
    model_version: str
    status: Status
    outputs: list[Any]
    """One for each instance, in their order, null where it failed; empty when the whole request failed."""
    errors: list[InstanceError]
    batch_id: Id | None
    """The mini-batch; null where none was predicted."""
    redrive: Annotated[int, Field(ge=0, lt=2**31)]
    """How often an operator sent the request again after it had failed."""
    instances_hash: Hash


class PredictionEvent(Envelope):
    """A prediction as it travels."""

    type: Literal["predictq.prediction.v1"]
    data: PredictionData


PREDICTION: Codec[PredictionEvent] = Codec(PredictionEvent)


def prediction_id(request_id: str, deployment: str, redrive: int) -> str:
    """The event id: the same however often the same answer is emitted."""
    return derived_id(request_id, deployment, str(redrive))
