"""What is wrong with the settings, told to whoever wrote them: where, which key, which value, what would be right."""

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

__all__ = ["explain", "explain_json", "misspelt_variables"]

ENV_PREFIX = "PREDICTQ_"
NESTING = "__"
_NAME_RULE = "is no name; lower-case letters, digits and hyphens, a letter first, 48 at most, would be right"
_SECRETS = {"secret", "old_secret"}
_SHOULD_BE = {"model_type": "a table", "dict_type": "a table", "tuple_type": "a list"}


def explain(error: ValidationError, file: str, model: type[BaseModel]) -> str:
    """A line for each mistake."""
    return "\n".join(_explain_one(found, file, model) for found in error.errors(include_url=False))


def explain_json(error: SettingsError) -> str:
    """A line for a variable that stands for a whole table and is not JSON."""
    field = re.search(r'field "(\w+)"', str(error))
    variable = field and _variable([field[1]])
    if not variable:
        return str(error)
    single = f"{variable}{NESTING}<NAME>{NESTING}<KEY>=<value>"
    return f"{variable}: {os.environ[variable]!r:.80}: should be a JSON object; a single key is set by {single}"


def misspelt_variables(model: type[BaseModel]) -> Iterator[str]:
    """A line for each variable that is nearly a setting.

    Others under the prefix are left alone: Kubernetes, for one, gives every container such variables for each service.
    """
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX):
            first = variable[len(ENV_PREFIX) :].lower().split(NESTING)[0]
            near = get_close_matches(first, model.model_fields, n=1, cutoff=0.8)
            if near and near[0] != first:
                meant = ENV_PREFIX + variable[len(ENV_PREFIX) :].upper().replace(first.upper(), near[0].upper(), 1)
                yield f"{variable}: is no setting that predictq knows; did you mean {meant}?"


def _explain_one(found: ErrorDetails, file: str, model: type[BaseModel]) -> str:
    steps = [str(step) for step in found["loc"] if step != "[key]"]
    value = "(hidden)" if steps and steps[-1] in _SECRETS else f"{found['input']!r:.80}"
    match found["type"]:
        case "value_error":  # our own validators: "key: what is wrong"
            message = found["msg"].removeprefix("Value error, ")
            key, _, rest = message.partition(": ")
            steps, message = (key.split("."), rest) if rest and " " not in key else (steps, message)
        case "extra_forbidden":
            message = _unknown(steps, model)
        case "missing":
            message = "is missing"
        case "string_pattern_mismatch":
            message = f"{value} {_NAME_RULE}"
        case kind if kind in _SHOULD_BE:
            message = f"{value}: should be {_SHOULD_BE[kind]}"
        case _:
            message = f"{value}: {found['msg'].replace('Input should', 'should')}"
    variable = _variable(steps)
    return ": ".join(part for part in (variable or file, ".".join(steps), message) if part)


def _unknown(steps: Sequence[str], model: type[BaseModel]) -> str:
    known = _keys_beside(steps, model)
    near = get_close_matches(steps[-1], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"is no key that predictq knows; {hint}"


def _keys_beside(steps: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Keys of the table that the last of `steps` was written in."""
    annotation: object = model
    for step in steps[:-1]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[step].annotation
        else:  # a table of tables under free names
            annotation = get_args(annotation)[1]
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return []
    return sorted(field.alias or name for name, field in annotation.model_fields.items() if name != "folder")


def _variable(steps: Sequence[str]) -> str | None:
    """The variable in the environment that this key, or a table around it, was set by."""
    ours = {name.upper(): name for name in os.environ if re.match(ENV_PREFIX, name, re.IGNORECASE)}
    for length in range(len(steps), 0, -1):
        name = ENV_PREFIX + NESTING.join(steps[:length]).upper()
        if name in ours:
            return ours[name]
    return None
