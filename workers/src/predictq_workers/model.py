"""What a model is to a worker.

A model of yours needs `load()` and `predict(batch)`, and may have an `Input` and a `warm_up()`; it inherits nothing:

    class Sentiment:
        class Input(pydantic.BaseModel):        # optional: each instance is checked by it and handed over as one
            text: str

        def load(self) -> None: ...             # once per process, before the worker is ready
        def predict(self, batch: list[Input]) -> list[dict[str, float]]: ...   # same length, same order
        def warm_up(self) -> None: ...          # optional: called once after `load`

Raise `predictq.errors.Retryable`, or any exception with an attribute `retryable = True`, for what may work later.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from predictq.errors import Retryable
from predictq.messages import Columns

__all__ = ["INVALID_INPUT", "NO_FAILURES", "Checked", "Failure", "Model", "Predicted", "Servable", "is_retryable"]


class Model(Protocol):
    """The class a user writes."""

    def load(self) -> None:
        """Read weights, connect; called once per process."""

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        """One output for each instance, in their order, made of what JSON has: numbers are finite."""


class Failure(NamedTuple):
    """Why an instance has no output."""

    type: str
    detail: str
    retryable: bool = False


INVALID_INPUT = "invalid_input"
NO_FAILURES: Mapping[int, Failure] = {}


class Checked(NamedTuple):
    """Instances as the model wants them; None, and an entry in `failures`, for each that it must not see."""

    inputs: Any
    """A list, or an array that is sliced like one."""
    failures: Mapping[int, Failure] = NO_FAILURES


class Predicted(NamedTuple):
    """One output for each input, all of them JSON; None, and an entry in `failures`, where there is none."""

    outputs: list[Any]
    failures: Mapping[int, Failure] = NO_FAILURES


class Servable(Protocol):
    """A model made ready for the worker: a user's class or an estimator behind one shape. Used by one thread."""

    def load(self) -> None:
        """Load and warm up. Raises ModelError where the model cannot be served."""

    def check(self, instances: list[Any]) -> Checked:
        """Validate each instance by itself. Never raises."""

    def check_columns(self, columns: Sequence[Columns]) -> Checked | None:
        """The same of rows of numbers, all at once; None where they must become instances first."""

    def predict(self, inputs: list[Any]) -> Predicted:
        """One call of the model. Raises whatever the model raises; ModelError for another number of outputs."""


def is_retryable(error: BaseException) -> bool:
    """Whether the model says that the same instances may work later."""
    return isinstance(error, Retryable) or getattr(error, "retryable", False) is True
