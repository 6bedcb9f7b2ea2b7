"""Predict calls in which one bad instance never fails its neighbours."""

import logging
from contextlib import AbstractContextManager
from typing import Any, Protocol

from predictq.errors import ModelError
from predictq_workers.model import Failure, Predicted, Servable, is_retryable
from predictq_workers.wording import said

__all__ = ["Calls", "Guard"]

log = logging.getLogger(__name__)


class Guard(Protocol):
    """Bounds the time of a block, such as predictq's watchdog."""

    def watching(self) -> AbstractContextManager[None]: ...


class Calls:
    """Calls a model with at most `max_batch_size` inputs; where it raises, halves them until culprits stand alone."""

    def __init__(self, model: Servable, *, max_batch_size: int, guard: Guard) -> None:
        self._model = model
        self._max_batch_size = max_batch_size
        self._guard = guard
        self._told = False

    def predict(self, inputs: list[Any]) -> Predicted:
        """Outputs of all inputs, never raising for what the model does; one traceback is logged."""
        self._told = False
        size = self._max_batch_size
        if 0 < len(inputs) <= size:
            return self._call(inputs)
        return _joined(*(self._call(inputs[start : start + size]) for start in range(0, len(inputs), size)))

    def _call(self, inputs: list[Any]) -> Predicted:
        try:
            with self._guard.watching():
                return self._model.predict(inputs)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything
            self._tell(error, len(inputs))
            if is_retryable(error):
                failure = Failure("model_unavailable", said(error), retryable=True)
                return Predicted([None] * len(inputs), dict.fromkeys(range(len(inputs)), failure))
            if len(inputs) == 1:
                kind = "bad_output" if isinstance(error, ModelError) else "model_error"
                return Predicted([None], {0: Failure(kind, said(error))})
        half = len(inputs) // 2
        return _joined(self._call(inputs[:half]), self._call(inputs[half:]))

    def _tell(self, error: BaseException, size: int) -> None:
        if not self._told:
            self._told = True
            log.warning("the model failed on %d instances: %s", size, said(error), exc_info=error)


def _joined(*parts: Predicted) -> Predicted:
    outputs: list[Any] = []
    failures: dict[int, Failure] = {}
    for part in parts:
        start = len(outputs)
        outputs += part.outputs
        failures.update((start + index, failure) for index, failure in part.failures.items())
    return Predicted(outputs, failures)
