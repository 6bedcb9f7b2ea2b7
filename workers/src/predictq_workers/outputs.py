"""Whether what a model returned is JSON, with finite numbers."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from predictq.errors import ModelError
from predictq_workers.model import NO_FAILURES, Failure
from predictq_workers.wording import said

__all__ = ["as_list", "make_json"]

_FINITE = ConfigDict(allow_inf_nan=False)
_all = TypeAdapter(list[JsonValue], config=_FINITE).validator.validate_python
_one = TypeAdapter(JsonValue, config=_FINITE).validator.validate_python


def as_list(outputs: Any, expected: int) -> list[Any]:
    """What `predict` returned, as a list of `expected` outputs. Raises ModelError if it is none."""
    if hasattr(outputs, "tolist"):  # of numpy, pandas, torch
        outputs = outputs.tolist()
    if isinstance(outputs, str | bytes | Mapping) or not hasattr(outputs, "__iter__"):
        raise ModelError(f"predict returned {type(outputs).__name__}, not a list of {expected} outputs")
    listed = outputs if isinstance(outputs, list) else list(outputs)
    if len(listed) != expected:
        raise ModelError(f"predict returned {len(listed)} outputs for {expected} instances")
    return listed


def make_json(outputs: list[Any]) -> Mapping[int, Failure]:
    """Replace in place what JSON has a word for (numpy numbers, dates, models), and tell what it has none for."""
    try:
        to_json(_all(outputs))  # which refuses half a surrogate pair; no check does
    except (ValidationError, PydanticSerializationError):
        return _make_json_singly(outputs)
    return NO_FAILURES


def _make_json_singly(outputs: list[Any]) -> Mapping[int, Failure]:
    failures: dict[int, Failure] = {}
    for index, output in enumerate(outputs):
        try:
            outputs[index] = _one(to_jsonable_python(output, inf_nan_mode="constants", fallback=_of_numpy))
            to_json(outputs[index])
        except ValidationError as error:
            outputs[index] = None
            first = error.errors(include_url=False, include_input=False)[0]
            place = "/".join(str(step) for step in first["loc"] if step not in _JSON_KINDS)
            failures[index] = Failure(
                "bad_output", f"the output is not JSON: {place}{': ' if place else ''}{first['msg']}"
            )
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            outputs[index] = None
            failures[index] = Failure("bad_output", f"the output is not JSON: {said(error)}")
    return failures


_JSON_KINDS = frozenset({"list", "dict", "float", "str", "int", "bool", "none"})


def _of_numpy(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
