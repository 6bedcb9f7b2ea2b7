"""The bare loop: what a good programmer would write by hand for this one task. Imports nothing of predictq.

Reads 500 messages, validates them, predicts once, encodes 500 predictions and writes them with the offset in one
durable transaction. `bare_loop.py MESSAGES MODEL DATABASE` prints {"requests": …, "seconds": …}.
"""

import gc
import hashlib
import json
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import apsw
import joblib
import numpy as np
from pydantic import Field, FiniteFloat, TypeAdapter
from typing_extensions import TypedDict

BATCH = 500
DEPLOYMENT = "bench-linear"

SCHEMA = """
    CREATE TABLE input(off INTEGER PRIMARY KEY, value BLOB NOT NULL, ts REAL NOT NULL);
    CREATE TABLE output(off INTEGER PRIMARY KEY, value BLOB NOT NULL, ts REAL NOT NULL);
    CREATE TABLE progress(next INTEGER NOT NULL);
    INSERT INTO progress VALUES (1);
"""

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


def main(messages: Path, model_file: Path, database: Path) -> None:
    model = joblib.load(model_file)
    model.predict_proba(np.zeros((BATCH, 30)))
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    connection.execute(SCHEMA)
    fill(connection, messages)
    # As the worker does it: what is loaded is not looked at again, and a batch goes by reference counts.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    started = time.perf_counter()
    requests = drain(connection, model)
    seconds = time.perf_counter() - started
    print(json.dumps({"requests": requests, "seconds": seconds}))


def fill(connection: apsw.Connection, messages: Path) -> None:
    with messages.open("rb") as lines:
        while some := list(islice(lines, 5000)):
            with connection:
                now = time.time()
                connection.executemany(
                    "INSERT INTO input(value, ts) VALUES (?, ?)", [(line.rstrip(b"\n"), now) for line in some]
                )


def drain(connection: apsw.Connection, model: Any) -> int:
    done = 0
    position: int = connection.execute("SELECT next FROM progress").get
    while records := _read(connection, position):
        values = predict([value for _, value in records], model)
        position = records[-1][0] + 1
        now = time.time()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO output(value, ts) VALUES (?, ?)", [(value, now) for value in values])
        connection.execute("UPDATE progress SET next = ?", (position,))
        connection.execute("COMMIT")
        done += len(records)
    return done


def _read(connection: apsw.Connection, position: int) -> list[tuple[int, bytes]]:
    found: list[Any] = connection.execute(
        "SELECT off, value FROM input WHERE off >= ? ORDER BY off LIMIT ?", (position, BATCH)
    ).fetchall()
    return found


def predict(values: list[bytes], model: Any) -> list[bytes]:
    validate = REQUESTS.validator.validate_json
    encode = PREDICTIONS.serializer.to_json
    requests: list[Request] = [validate(value) for value in values]
    rows = [row for request in requests for row in request["data"]["instances"]]
    probabilities = model.predict_proba(np.array(rows))
    names = [str(name) for name in model.classes_]
    labels = [names[at] for at in probabilities.argmax(axis=1).tolist()]
    outputs = [
        {"label": label, "probabilities": dict(zip(names, row, strict=True))}
        for label, row in zip(labels, probabilities.tolist(), strict=True)
    ]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    batch_id = derived_id(now, requests[0]["id"])
    encoded = []
    at = 0
    for request in requests:
        data = request["data"]
        upto = at + len(data["instances"])
        prediction: Prediction = {
            "specversion": "1.0",
            "id": derived_id(request["id"], DEPLOYMENT),
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


def derived_id(*parts: str) -> str:
    """A UUIDv8 of the parts."""
    digest = hashlib.sha256("\x1f".join((*parts, "0")).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[16:19]}-{digest[19:31]}"


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
