"""Serves a class of the user's."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from predictq.errors import ModelError
from predictq.messages import Columns
from predictq_workers.model import INVALID_INPUT, Checked, Failure, Model, Predicted
from predictq_workers.outputs import as_list, make_json
from predictq_workers.wording import said

__all__ = ["ClassModel"]


class ClassModel:
    """A user's model; its instances are checked by its `Input` where it has one."""

    def __init__(self, model: Model, name: str) -> None:
        if not callable(getattr(model, "predict", None)):
            raise ModelError(f"{name} has no method predict(batch)")
        self._model = model
        self._name = name
        input_type = getattr(model, "Input", None)
        try:
            self._one = None if input_type is None else TypeAdapter(input_type).validator
            self._all = None if input_type is None else TypeAdapter(list[input_type]).validator  # type: ignore[valid-type] # known at run time only
        except Exception as error:
            raise ModelError(f"{name}.Input is no type that pydantic can check: {said(error)}") from error

    def load(self) -> None:
        """`load()` and `warm_up()` of the class. Raises ModelError with what they raised."""
        for step in ("load", "warm_up"):
            method = getattr(self._model, step, None)
            if method is None:
                continue
            try:
                method()
            except Exception as error:
                raise ModelError(f"{self._name}.{step}() raised {said(error)}") from error

    def check(self, instances: list[Any]) -> Checked:
        """Each instance as an `Input`, checked in pydantic's JSON mode, as instances come from JSON."""
        if self._all is None:
            return Checked(instances)
        try:
            return Checked(self._all.validate_json(to_json(instances, inf_nan_mode="constants")))
        except Exception:  # noqa: BLE001 - a validator of the user's may raise anything; one by one finds out which
            return self._check_singly(instances)

    def check_columns(self, columns: Sequence[Columns]) -> None:
        """It is written for instances."""

    def predict(self, inputs: list[Any]) -> Predicted:
        """One call of the class, whose outputs may be anything and are all looked at."""
        outputs = as_list(self._model.predict(inputs), len(inputs))
        return Predicted(outputs, make_json(outputs))

    def _check_singly(self, instances: list[Any]) -> Checked:
        inputs: list[Any] = []
        failures: dict[int, Failure] = {}
        for index, instance in enumerate(instances):
            try:
                inputs.append(self._one.validate_json(to_json(instance, inf_nan_mode="constants")))  # type: ignore[union-attr] # there is an Input
            except Exception as error:  # noqa: BLE001 - see above
                inputs.append(None)
                failures[index] = Failure(INVALID_INPUT, _explain(error))
        return Checked(inputs, failures)


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"its check raised {said(error)}"
    found = error.errors(include_url=False, include_input=False)
    text = "; ".join(f"{'/'.join(map(str, one['loc'])) or 'instance'}: {one['msg']}" for one in found[:3])
    return text if len(found) <= 3 else f"{text}; and {len(found) - 3} more"
