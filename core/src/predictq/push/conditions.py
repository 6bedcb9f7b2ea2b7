"""Conditions of subscriptions: a comparison on an output, such as `label = fraud` or `probabilities.fraud >= 0.9`."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["Condition"]

MAX_CHARACTERS = 500
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_ORDERED = {">", ">=", "<", "<="}
_STEP = r'(?:"(?:[^"\\]|\\.)*"|[^\s."=!<>]+)'
_COMPARISON = re.compile(rf"\s*({_STEP}(?:\.{_STEP})*)\s*(==|=|!=|>=|<=|>|<)\s*(\S.*?)\s*")
_RIGHT = "label = fraud or probabilities.fraud >= 0.9 would be right"
_NOWHERE = object()


class Condition:
    """A path into an output, a comparison and a value.

    The path names members of objects and places in arrays, between dots, in double quotes where a name holds a dot or
    a blank; a first step `output` stands for the output itself. The value is JSON, or bare words taken as text.
    """

    def __init__(self, text: str) -> None:
        """Raises ValueError where the text is no condition."""
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"has {len(text)} characters; at most {MAX_CHARACTERS} would be right")
        found = _COMPARISON.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:100]!r} is no comparison; {_RIGHT}")
        path, sign, value = found.groups()
        self._steps = [json.loads(step) if step[0] == '"' else step for step in re.findall(_STEP, path)]
        if self._steps[0] == "output" and not path.startswith('"'):
            del self._steps[0]
        self._compare = _OPERATORS[sign]
        self._value = _value(value)
        if sign in _ORDERED and not isinstance(self._value, int | float | str):
            raise ValueError(f"{text[:100]!r} compares with neither a number nor a text; {_RIGHT}")

    def holds(self, outputs: Iterable[Any]) -> bool:
        """Whether it is true of any of the outputs. An output without that path, or of another type, is passed over."""
        return any(self._holds(output) for output in outputs)

    def _holds(self, output: Any) -> bool:
        for step in self._steps:
            output = _member(output, step)
        if output is _NOWHERE or _kind(output) != _kind(self._value):
            return False
        return self._compare(output, self._value)


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _NOWHERE)
    if isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
        return value[int(step)]
    return _NOWHERE


def _kind(value: Any) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
