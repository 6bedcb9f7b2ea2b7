"""JSON from outside: RFC 8259, and nothing that a message could not carry on.

The parser is pydantic's. Beyond it, nesting is bounded well below what every reader down the line can take, and numbers
that overflow to infinity are refused: neither JSON nor a model has any use for them.
"""

import math
from typing import Any

from pydantic_core import from_json

from predictq_producers.refusals import MAX_FAULTS, Fault, Refused, pointer

__all__ = ["MAX_DEPTH", "check_values", "parse_json"]

MAX_DEPTH = 64
"""Levels of arrays and objects inside one instance."""


def parse_json(raw: bytes) -> Any:
    """The value in `raw`. Raises Refused(400) with line and column where it is no JSON."""
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {_hint(raw, str(error))}") from error


def check_values(value: Any, *steps: str | int) -> None:
    """Refuse, by their place, what is nested too deeply and what is no finite number. `steps` lead to `value`."""
    faults: list[Fault] = []
    todo: list[tuple[tuple[str | int, ...], Any]] = [(steps, value)]
    deepest = len(steps) + MAX_DEPTH
    while todo and len(faults) < MAX_FAULTS:
        at, item = todo.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                faults.append(
                    Fault(pointer(*at), "is no finite number; JSON has no NaN and no Infinity, null would do")
                )
        elif isinstance(item, list | dict):
            if len(at) > deepest:
                place = pointer(*at[: len(steps) + 1])
                raise Refused(
                    422,
                    f"an instance is nested more than {MAX_DEPTH} levels deep",
                    [Fault(place, f"at most {MAX_DEPTH} levels of arrays and objects would be right")],
                )
            pairs = enumerate(item) if isinstance(item, list) else item.items()
            todo.extend(((*at, step), inner) for step, inner in pairs if isinstance(inner, float | list | dict))
    if faults:
        raise Refused(422, "the instances hold numbers that are not finite", sorted(faults))


def _hint(raw: bytes, message: str) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it starts with a byte order mark (RFC 8259 forbids one)"
    if "number out of range" in message:
        return f"{message}: an integer has at most 4300 digits"
    if "recursion limit" in message:
        return f"nested too deeply: {message}"
    if "unicode" in message:
        return f"invalid UTF-8: {message}"
    return message
