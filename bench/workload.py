"""What is sent: requests of one instance with 30 floats, and the linear model that answers them.

Both are written to files first, so that predictq and the bare loop read the very same bytes.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from predictq.ids import new_id
from predictq.messages import REQUEST, new_request
from traffic import DEPLOYMENT, ENDPOINT, Workload

__all__ = ["instances", "prepare", "prepare_forest"]

TREES = 1000


def prepare(folder: Path, count: int) -> Workload:
    """Fit the model and write `count` requests; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    workload = Workload(model=folder / "model.joblib", messages=folder / f"requests-{count}.jsonl", count=count)
    if not workload.model.exists():
        _fit(workload.model)
    if not workload.messages.exists():
        half_written = workload.messages.with_suffix(".part")
        with half_written.open("wb") as file:
            file.writelines(_requests(count))
        half_written.rename(workload.messages)
    return workload


def prepare_forest(folder: Path) -> Path:
    """A slow model for the same requests: some 80 ms for a mini-batch, however small."""
    file = folder / f"forest-{TREES}.joblib"
    if not file.exists():
        data = load_breast_cancer()
        joblib.dump(RandomForestClassifier(TREES, random_state=7).fit(data.data, data.target_names[data.target]), file)
    return file


def instances() -> list[list[float]]:
    """Real rows of the breast-cancer set."""
    rows: list[list[float]] = load_breast_cancer().data.tolist()
    return rows


def _fit(file: Path) -> None:
    data = load_breast_cancer()
    # One matrix product, without a pipeline: the scaling is folded into the coefficients.
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target_names[data.target])
    scaler, model = scaled[0], scaled[1]
    model.coef_ = model.coef_ / scaler.scale_
    model.intercept_ = model.intercept_ - np.dot(model.coef_, scaler.mean_)
    joblib.dump(model, file)


def _requests(count: int) -> Iterator[bytes]:
    rows = instances()
    for number in range(count):
        yield (
            REQUEST.encode(
                new_request(
                    request_id=new_id(),
                    endpoint=ENDPOINT,
                    instances=[rows[number % len(rows)]],
                    deployments=[DEPLOYMENT],
                    now=time.time(),
                )
            )
            + b"\n"
        )
