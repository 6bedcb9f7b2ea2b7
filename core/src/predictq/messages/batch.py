"""`predictq.batch.v1`: what is known about one mini-batch."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from predictq.messages.envelope import Codec, Envelope, Id, Name, Time

__all__ = ["BATCH", "BATCH_TYPE", "BatchData", "BatchEvent"]

BATCH_TYPE: Literal["predictq.batch.v1"] = "predictq.batch.v1"


class BatchData(TypedDict):
    """The body of a mini-batch record; the event's id is the batch's."""

    endpoint: Name
    deployment: Name
    model_version: str
    worker: str
    """Host, process and a random tail: one for each process that ever ran."""
    requests: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=1)]
    """Instances."""
    ingested_at: Time
    """When the oldest request of the batch was published."""
    started_at: Time
    finished_at: Time
    status: Literal["succeeded", "partial", "failed"]


class BatchEvent(Envelope):
    """A mini-batch record as it travels, on the topic of its predictions."""

    id: Id
    type: Literal["predictq.batch.v1"]
    data: BatchData


BATCH: Codec[BatchEvent] = Codec(BatchEvent)
