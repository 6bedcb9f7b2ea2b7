"""The task itself, without any broker and without predictq: 500 request messages in, 500 prediction messages out.

Every bare loop and every peer answers by this one function, so that only what lies around it differs.
"""

import gc
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import joblib
import numpy as np
from pydantic import Field, FiniteFloat, TypeAdapter
from typing_extensions import TypedDict

__all__ = ["BATCH", "Request", "answer", "load", "predict", "settle_memory"]

BATCH = 500
DEPLOYMENT = "bench-linear"

Row = Annotated[list[FiniteFloat], Field(min_length=30, max_length=30)]


class RequestData(TypedDict):
    endpoint: str
    instances: Annotated[list[Row], Field(min_length=1)]
    deployments: list[str]
    instances_hash: str


class Request(TypedDict):
    specversion: Literal["1.0"]
    id: str
    source: str
    type: Literal["predictq.request.v1"]
    time: str
    data: RequestData


class PredictionData(TypedDict):
    request_id: str
    endpoint: str
    deployment: str
    model_version: str
    status: str
    outputs: list[Any]
    errors: list[Any]
    batch_id: str
    redrive: int
    instances_hash: str


class Prediction(TypedDict):
    specversion: str
    id: str
    source: str
    type: str
    time: str
    data: PredictionData


REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)
PREDICTIONS: TypeAdapter[Prediction] = TypeAdapter(Prediction)


def load(file: Path | str) -> Any:
    """The model, warmed up."""
    model = joblib.load(file)
    model.predict_proba(np.zeros((BATCH, 30)))
    return model


def settle_memory() -> None:
    """As the worker does it: what is loaded is not looked at again, and a batch goes by reference counts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def predict(values: Sequence[bytes], model: Any) -> list[bytes]:
    """One prediction for each request, in order; validated, predicted in one call, encoded."""
    validate = REQUESTS.validator.validate_json
    return answer([validate(value) for value in values], model)


def answer(requests: Sequence[Request], model: Any) -> list[bytes]:
    """The same for requests that are decoded and validated already."""
    encode = PREDICTIONS.serializer.to_json
    rows = [row for request in requests for row in request["data"]["instances"]]
    probabilities = model.predict_proba(np.array(rows))
    names = [str(name) for name in model.classes_]
    labels = [names[at] for at in probabilities.argmax(axis=1).tolist()]
    outputs = [
        {"label": label, "probabilities": dict(zip(names, row, strict=True))}
        for label, row in zip(labels, probabilities.tolist(), strict=True)
    ]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    batch_id = _derived_id(now, requests[0]["id"])
    encoded = []
    at = 0
    for request in requests:
        data = request["data"]
        upto = at + len(data["instances"])
        prediction: Prediction = {
            "specversion": "1.0",
            "id": _derived_id(request["id"], DEPLOYMENT),
            "source": request["source"],
            "type": "predictq.prediction.v1",
            "time": now,
            "data": {
                "request_id": request["id"],
                "endpoint": data["endpoint"],
                "deployment": DEPLOYMENT,
                "model_version": "1",
                "status": "succeeded",
                "outputs": outputs[at:upto],
                "errors": [],
                "batch_id": batch_id,
                "redrive": 0,
                "instances_hash": data["instances_hash"],
            },
        }
        encoded.append(encode(prediction))
        at = upto
    return encoded


def _derived_id(*parts: str) -> str:
    """A UUIDv8 of the parts."""
    digest = hashlib.sha256("\x1f".join((*parts, "0")).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[16:19]}-{digest[19:31]}"
