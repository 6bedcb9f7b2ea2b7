"""The messages on the topics: one module a kind, all of them CloudEvents 1.0 in structured JSON."""

from predictq.messages.batch import BATCH, BATCH_TYPE, BatchData, BatchEvent
from predictq.messages.envelope import SPECVERSION, Codec, Envelope, Hash, Id, Name, Time, source_of
from predictq.messages.hints import CANCEL, COMMIT, CancelEvent, CommitEvent, new_cancel, new_commit
from predictq.messages.prediction import (
    PREDICTION,
    PREDICTION_TYPE,
    InstanceError,
    PredictionData,
    PredictionEvent,
    Status,
    prediction_id,
)
from predictq.messages.request import REQUEST, REQUEST_TYPE, RequestData, RequestEvent, hash_of, new_request

__all__ = [
    "BATCH",
    "BATCH_TYPE",
    "CANCEL",
    "COMMIT",
    "PREDICTION",
    "PREDICTION_TYPE",
    "REQUEST",
    "REQUEST_TYPE",
    "SPECVERSION",
    "BatchData",
    "BatchEvent",
    "CancelEvent",
    "Codec",
    "CommitEvent",
    "Envelope",
    "Hash",
    "Id",
    "InstanceError",
    "Name",
    "PredictionData",
    "PredictionEvent",
    "RequestData",
    "RequestEvent",
    "Status",
    "Time",
    "hash_of",
    "new_cancel",
    "new_commit",
    "new_request",
    "prediction_id",
    "source_of",
]
