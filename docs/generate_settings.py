"""Writes the tables of `docs/settings.md` from `predictq/settings.py`; `--check` only says whether it is stale."""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from predictq import settings
from predictq.settings import Settings

PAGE = Path(__file__).parent / "settings.md"
BEGIN = "<!-- begin: written by docs/generate_settings.py -->\n"
END = "<!-- end -->\n"
SET_BY_PREDICTQ = {"folder"}


def page(text: str) -> str:
    """`text`, the page as it is, with its tables as they should be."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


def tables() -> str:
    """A table for each section, the keys outside any section first."""
    nested: list[str] = []
    top: list[str] = []
    meanings = _docstrings(Settings)
    for name, field in Settings.model_fields.items():
        if name in SET_BY_PREDICTQ:
            continue
        section, title = _section(name, field)
        if section is None:
            top.append(_row(name, field, meanings[name]))
        else:
            nested.append(_table(title, inspect.getdoc(section) or "", list(_rows(section))))
    return "\n".join([_table("Outside any section", "", top), *nested])


def _section(name: str, field: FieldInfo) -> tuple[type[BaseModel] | None, str]:
    """The section that a field of Settings holds, and how it is written in TOML."""
    annotation = field.annotation
    if get_origin(annotation) is dict:
        return get_args(annotation)[1], f"[{name}.NAME]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, f"[{name}]"
    return None, ""


def _table(title: str, about: str, rows: list[str]) -> str:
    heading = f"## `{title}`" if title.startswith("[") else f"## {title}"
    intro = f"{about}\n\n" if about else ""
    head = "| key | type | default | meaning |\n| --- | --- | --- | --- |"
    return f"{heading}\n\n{intro}{head}\n" + "\n".join(rows) + "\n"


def _rows(section: type[BaseModel]) -> Iterator[str]:
    meanings = _docstrings(section)
    for name, field in section.model_fields.items():
        yield _row(field.alias or name, field, meanings[name])


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
        return "list of strings"
    if get_origin(annotation) is not None:
        return "table"
    names = {int: "integer", float: "number", str: "string", bool: "boolean"}
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


def _docstrings(section: type[BaseModel]) -> dict[str, str]:
    """The string below each field: pydantic's convention, read without making pydantic read it at every start."""
    body = next(node.body for node in ast.parse(inspect.getsource(section)).body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(after.value.value).split())
    silent = [name for name in section.model_fields if name not in found and not _is_section(section, name)]
    if silent:
        place = Path(settings.__file__).name
        raise SystemExit(f"{place}: {section.__name__}: no docstring below: {', '.join(silent)}")
    return found


def _is_section(section: type[BaseModel], name: str) -> bool:
    return section is Settings and _section(name, section.model_fields[name])[0] is not None


def main() -> int:
    """Rewrite or check the page."""
    before = PAGE.read_text(encoding="utf-8")
    after = page(before)
    if before == after:
        return 0
    if "--check" in sys.argv:
        print("docs/settings.md is stale: python docs/generate_settings.py")
        return 1
    PAGE.write_text(after, encoding="utf-8")
    print("docs/settings.md: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
