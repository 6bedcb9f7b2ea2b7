"""Tables of the fields of pydantic models, for pages that are generated from the code."""

import ast
import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_HEAD = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n"


def table_of(model: type[BaseModel], leave_out: Collection[str] = ()) -> str:
    """A line for each field, with type, default and docstring."""
    meanings = docstrings_of(model, optional=leave_out)
    rows = (
        _row(field.alias or name, field, meanings[name])
        for name, field in model.model_fields.items()
        if name not in leave_out
    )
    return _HEAD + "\n".join(rows) + "\n"


def docstrings_of(model: type, *, optional: Collection[str] = ()) -> dict[str, str]:
    """The string below each field: pydantic's convention, read without making pydantic read it at every start."""
    body = next(node.body for node in ast.parse(inspect.getsource(model)).body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    fields: list[str] = []
    for statement, after in pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            fields.append(statement.target.id)
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[statement.target.id] = " ".join(str(after.value.value).split())
    silent = [name for name in fields if name not in found and name not in optional]
    if silent:
        place = Path(inspect.getfile(model)).name
        raise SystemExit(f"{place}: {model.__name__}: no docstring below: {', '.join(silent)}")
    return found


def rewrite(page: Path, tables: Mapping[str, str], *, writer: str, check: bool) -> int:
    """Put each table between its marks on the page, or only say whether that would change it; the exit code."""
    before = page.read_text(encoding="utf-8")
    after = before
    for name, table in tables.items():
        begin, end = f"<!-- begin {name}: written by {writer} -->\n", f"<!-- end {name} -->\n"
        head, begins, rest = after.partition(begin)
        _, ends, tail = rest.partition(end)
        if not begins or not ends:
            raise SystemExit(f"docs/{page.name} has no place for {name!r}: {begin.strip()} … {end.strip()}")
        after = f"{head}{begin}\n{table}\n{end}{tail}"
    if before == after:
        return 0
    if check:
        print(f"docs/{page.name} is stale: python {writer}")
        return 1
    page.write_text(after, encoding="utf-8")
    print(f"docs/{page.name}: written")
    return 0


def _row(key: str, field: FieldInfo, meaning: str) -> str:
    default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
    return f"| `{key}` | {_type(field.annotation, field.metadata)} | {default} | {meaning} |"


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"`{value:.12g}`" + (f" ({value / 86_400:g} days)" if value and value % 86_400 == 0 else "")
    if isinstance(value, int) and value % 1_048_576 == 0 and value:
        return f"`{value}` ({value // 1_048_576} MiB)"
    if isinstance(value, Mapping):
        return "`{}`"
    return f"`{json.dumps(value)}`"


def _type(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*metadata, *more]
    if get_origin(annotation) in (UnionType, Union):
        annotation, *_ = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _type(annotation, metadata)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{json.dumps(word)}`" for word in get_args(annotation))
    if get_origin(annotation) is tuple:
        item, *_ = get_args(annotation)
        return f"list of {_type(item, []).partition(' ')[0]}s"
    if get_origin(annotation) is not None:
        return "table"
    names = {int: "integer", float: "number", str: "string", SecretStr: "string", bool: "boolean", Path: "path"}
    return " ".join([names[annotation], *_bounds(metadata)])


def _bounds(metadata: list[Any]) -> Iterator[str]:
    found = {type(one): one for one in _flat(metadata)}
    low, high = found.get(Ge), found.get(Le)
    if low is not None and high is not None:
        yield f"{low.ge:,} to {high.le:,}"
        return
    for kind, symbol in ((Ge, "≥"), (Gt, ">"), (Le, "≤"), (Lt, "<")):
        if kind in found:
            yield f"{symbol} {getattr(found[kind], kind.__name__.lower()):,}"


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for found in metadata:
        if isinstance(found, FieldInfo):
            yield from _flat(found.metadata)
        else:
            yield found
