"""Which columns of a file make an instance, and which go to the result as they are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predictq_producers.jobs.faults import BadFile

__all__ = ["Columns", "columns_of"]

ALL = "*"


class Columns(NamedTuple):
    """Both in the order of the file; `features` is None where a row is an instance as it stands."""

    features: list[str] | None
    carried: list[str]


def columns_of(
    names: Sequence[str], schema: Mapping[str, Any] | None, keep: Sequence[str], id_column: str | None
) -> Columns:
    """Raises BadFile: a column that is asked for is not there, or the endpoint's schema knows none of that name."""
    asked = [*([id_column] if id_column is not None else []), *(name for name in keep if name != ALL)]
    for name in asked:
        if name not in names:
            raise BadFile(f"column {name!r} is to be kept, but the file has none; it has {_listed(names)}")
    properties = schema.get("properties") if schema is not None else None
    if not isinstance(properties, Mapping) or not properties:
        return Columns([name for name in names if name not in asked], [name for name in names if name in asked])
    missing = [name for name in schema.get("required", ()) if name not in names] if schema is not None else []
    if missing:
        raise BadFile(f"column {missing[0]!r} is missing, which the endpoint requires; the file has {_listed(names)}")
    others = [name for name in names if name not in properties]
    if ALL in keep:
        asked += others
    if unknown := [name for name in others if name not in asked]:
        raise BadFile(
            f"column {unknown[0]!r} is unknown to the endpoint; keep it for the result (keep={unknown[0]}, or keep=* "
            "for all such) or leave it out"
        )
    return Columns([name for name in names if name in properties], [name for name in names if name in asked])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
