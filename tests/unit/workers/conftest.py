"""Small fitted models, and a worker's handler put together without a broker."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from predictq.brokers import Done, Message, Record, Verdict
from predictq.cancels import Cancelled
from predictq.ids import new_id
from predictq.messages import BATCH, PREDICTION, REQUEST, BatchEvent, PredictionEvent, new_request
from predictq.settings import Settings
from predictq.storage import Storage
from predictq_workers.class_model import ClassModel
from predictq_workers.model import Servable
from predictq_workers.predicting import Predicting
from predictq_workers.service import build_handler

NOW = 1_796_051_045.0  # 2026-11-30T15:04:05Z


class NoGuard:
    """Bounds nothing."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        yield


class Answered:
    """What a handler made of some records."""

    def __init__(self, handler: Predicting, records: Sequence[Record]) -> None:
        outcome = handler.handle(records)
        self.verdicts: Sequence[Verdict] = outcome.verdicts
        self.batches: list[BatchEvent] = [BATCH.decode(message.value) for message in outcome.also]
        self.batch_topics = [message.topic for message in outcome.also]

    def messages(self, at: int = 0) -> Sequence[Message]:
        verdict = self.verdicts[at]
        assert isinstance(verdict, Done), verdict
        return verdict.outputs

    def prediction(self, at: int = 0) -> PredictionEvent:
        (message,) = self.messages(at)
        return PREDICTION.decode(message.value)

    def outputs(self, at: int = 0) -> list[Any]:
        return self.prediction(at)["data"]["outputs"]


@pytest.fixture
def record() -> Callable[..., Record]:
    """A request as a worker polls it."""

    def make(
        instances: list[Any],
        *,
        deployments: Sequence[str] = ("mine",),
        request_id: str | None = None,
        headers: dict[str, str] | None = None,
        published_at: float = NOW - 1,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Record:
        request = new_request(
            request_id=request_id or new_id(),
            endpoint="tumours",
            instances=instances,
            deployments=list(deployments),
            now=published_at,
            key=key,
            deadline=deadline,
        )
        return raw(REQUEST.encode(request), headers, published_at)

    return make


def raw(value: bytes, headers: dict[str, str] | None = None, published_at: float = NOW - 1) -> Record:
    return Record("predictq.tumours.requests", 0, "7", value, None, headers or {}, published_at, 0)


@pytest.fixture
def handler() -> Callable[..., Predicting]:
    """The handler of the deployment `mine`, around a model."""

    def make(
        model: Any,
        *,
        cancelled: Cancelled | None = None,
        max_message_bytes: int = 1 << 20,
        storage: Storage | None = None,
        max_payload_bytes: int = 1 << 20,
        **deployment: Any,
    ) -> Predicting:
        others = {} if deployment.get("role", "live") == "live" else {"live": {"endpoint": "tumours", "model": "m:C"}}
        settings = Settings.model_validate(
            {
                "endpoints": {"tumours": {}},
                "deployments": {"mine": {"endpoint": "tumours", "model": "m:C", **deployment}, **others},
                "jobs": {} if storage is None else {"storage": storage.url},
                "claim_check": {"max_bytes": max_payload_bytes},
            }
        )
        servable: Servable = model if hasattr(model, "check") else ClassModel(model, type(model).__name__)
        return build_handler(
            settings,
            "mine",
            model=servable,
            max_message_bytes=max_message_bytes,
            worker="here-1-abc",
            cancelled=cancelled or Cancelled(),
            guard=NoGuard(),
            clock=lambda: NOW,
        )

    return make


@pytest.fixture
def answered() -> type[Answered]:
    return Answered


@pytest.fixture(scope="session")
def linear() -> LogisticRegression:
    """A classifier of three floats, labels 0 and 1."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    return LogisticRegression().fit(x, (x[:, 0] > 0).astype(int))
