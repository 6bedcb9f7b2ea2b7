"""What an instance of an endpoint must look like: a JSON Schema (2020-12) or a pydantic model of the user's."""

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jsonschema_rs
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from predictq.errors import SettingsError
from predictq.settings import Settings
from predictq_producers.refusals import Fault, pointer

__all__ = ["InputCheck", "input_check"]

MAX_DETAIL = 300
"""Characters; a message that quotes an instance of a megabyte helps nobody."""

Steps = tuple[str | int, ...]


class InputCheck(Protocol):
    """Says what is wrong with one instance."""

    @property
    def json_schema(self) -> Mapping[str, Any] | None:
        """What clients are shown; None where anything goes."""

    def valid(self, instance: Any) -> bool:
        """Whether there is nothing to say; much cheaper than `faults`."""

    def faults(self, instance: Any, at: Steps) -> Iterator[Fault]:
        """All that is wrong with the instance, which stands at `at`."""


def input_check(settings: Settings, endpoint: str) -> InputCheck:
    """The check of an endpoint's `input`. Raises SettingsError where that is broken."""
    target = settings.endpoints[endpoint].input
    key = f"endpoints.{endpoint}.input"
    if target is None:
        return _AnyInput()
    module, colon, name = target.partition(":")
    if colon and not target.endswith(".json"):
        return _ModelInput(_model(key, target, module, name, settings.folder))
    return _SchemaInput(_schema(key, target, settings.path(target)))


class _AnyInput:
    json_schema = None

    def valid(self, instance: Any) -> bool:
        return isinstance(instance, dict | list)

    def faults(self, instance: Any, at: Steps) -> Iterator[Fault]:
        if not self.valid(instance):
            yield Fault(pointer(*at), "is neither a JSON object of named features nor an array of values")


class _SchemaInput:
    def __init__(self, schema: dict[str, Any]) -> None:
        self.json_schema = schema
        self._validator = Draft202012Validator(schema, validate_formats=True)
        self.valid: Callable[[Any], bool] = self._validator.is_valid

    def faults(self, instance: Any, at: Steps) -> Iterator[Fault]:
        for error in self._validator.iter_errors(instance):
            yield from self._explained(error, at)

    def _explained(self, error: jsonschema_rs.ValidationError, at: Steps) -> Iterator[Fault]:
        place = (*at, *error.instance_path)
        kind: Any = error.kind  # its attributes depend on its name
        if kind.name == "required":
            missing = kind.property
            right = _expectation(self._properties().get(missing))
            yield Fault(pointer(*place, missing), f"is missing; {right} would be right")
        elif kind.name in {"additionalProperties", "unevaluatedProperties"}:
            for name in kind.unexpected:
                yield Fault(pointer(*place, name), _unknown(name, list(self._properties())))
        else:
            yield Fault(pointer(*place), _short(error.message))

    def _properties(self) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.json_schema.get("properties", {})
        return properties


class _ModelInput:
    def __init__(self, model: type[BaseModel]) -> None:
        self.json_schema = model.model_json_schema()
        # In JSON mode, as the worker checks it: a strict model takes a date as text from JSON alone.
        self._validate = model.__pydantic_validator__.validate_json

    def valid(self, instance: Any) -> bool:
        try:
            self._validate(to_json(instance))
        except Exception:  # noqa: BLE001 - a validator of the user's may raise anything
            return False
        return True

    def faults(self, instance: Any, at: Steps) -> Iterator[Fault]:
        try:
            self._validate(to_json(instance))
        except ValidationError as error:
            known = list(self.json_schema.get("properties", {}))
            for found in error.errors(include_url=False, include_context=False, include_input=False):
                place = pointer(*at, *found["loc"])
                if found["type"] == "missing":
                    yield Fault(place, "is missing")
                elif found["type"] == "extra_forbidden":
                    yield Fault(place, _unknown(str(found["loc"][-1]), known))
                else:
                    yield Fault(place, _short(found["msg"]))
        except Exception as error:  # noqa: BLE001 - see above
            yield Fault(pointer(*at), _short(f"the check of this endpoint raised {type(error).__name__}: {error}"))


def _schema(key: str, target: str, path: Path) -> dict[str, Any]:
    try:
        schema = from_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{key}: {target!r}: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{key}: {target!r}: {path} is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise SettingsError(f"{key}: {target!r}: a JSON Schema is an object here, such as {{'type': 'object'}}")
    try:
        Draft202012Validator(schema, validate_formats=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        reason = _short(getattr(error, "message", str(error)))
        raise SettingsError(f"{key}: {target!r}: is no JSON Schema (2020-12): {reason}") from error
    return schema


def _model(key: str, target: str, module: str, name: str, folder: Path) -> type[BaseModel]:
    # The user's modules lie beside their settings.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise SettingsError(f"{key}: {target!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise SettingsError(f'{key}: {target!r} is no pydantic model; "package.module:Model" would be right')
    return found


def _expectation(schema: Any) -> str:
    if isinstance(schema, dict) and isinstance(schema.get("type"), str):
        return f"a value of type {schema['type']!r}"
    return "a value"


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"is no feature of this endpoint; did you mean {close[0]!r}?"
    return _short(f"is no feature of this endpoint; it has {', '.join(known) or 'none'}")


def _short(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 1]}…"
