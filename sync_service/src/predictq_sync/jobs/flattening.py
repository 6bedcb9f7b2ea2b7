"""Outputs of a deployment as columns: `label` and `probabilities.a` of `{"label": "a", "probabilities": {"a": 1}}`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

__all__ = ["WHOLE", "Path", "column_of", "paths_of"]

WHOLE = "prediction"
"""Column of an output that is no object."""

Path = tuple[str, ...]


def paths_of(outputs: Sequence[Any]) -> Mapping[str, Path]:
    """The columns that these outputs have, by name; in the order in which they come up."""
    paths: dict[str, Path] = {}
    for output in outputs:
        if output is not None:
            for path in _leaves(output, ()):
                paths.setdefault(".".join(path) or WHOLE, path)
    return paths


def column_of(outputs: Sequence[Any], path: Path) -> list[Any]:
    """What stands at the path in each output; None where there is nothing. Lists are JSON."""
    try:
        match path:
            case (key,):
                values = [output[key] for output in outputs]
            case (key, inner):
                values = [output[key][inner] for output in outputs]
            case _:
                values = [_at(output, path) for output in outputs]
    except (KeyError, TypeError):
        values = [_at(output, path) for output in outputs]
    return [to_json(value).decode() if isinstance(value, list | dict) else value for value in values]


def _leaves(output: Any, before: Path) -> Iterator[Path]:
    if not isinstance(output, dict):
        yield before
        return
    for key, value in output.items():
        yield from _leaves(value, (*before, key))


def _at(output: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(output, dict) or key not in output:
            return None
        output = output[key]
    return None if isinstance(output, dict) and not path else output
