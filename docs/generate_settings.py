"""Writes the tables of `docs/settings.md` from the sections of `Settings`; `--check` only says whether it is stale."""

import inspect
import sys
from pathlib import Path
from typing import get_args, get_origin

from model_tables import rewrite, table_of
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from predictq.settings import Settings

PAGE = Path(__file__).parent / "settings.md"
SET_BY_PREDICTQ = {"folder"}


def tables() -> str:
    """A table for each section, the keys outside any section first."""
    sections = {name: found for name, field in Settings.model_fields.items() if (found := _section(name, field))}
    written = [f"## Outside any section\n\n{table_of(Settings, leave_out={*sections, *SET_BY_PREDICTQ})}"]
    for section, title in sections.values():
        written.append(f"## `{title}`\n\n{inspect.getdoc(section)}\n\n{table_of(section)}")
    return "\n".join(written)


def _section(name: str, field: FieldInfo) -> tuple[type[BaseModel], str] | None:
    """The section that a field of Settings holds, and how it is written in TOML."""
    annotation = field.annotation
    if get_origin(annotation) is dict:
        return get_args(annotation)[1], f"[{name}.NAME]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, f"[{name}]"
    return None


if __name__ == "__main__":
    sys.exit(rewrite(PAGE, {"keys": tables()}, writer="docs/generate_settings.py", check="--check" in sys.argv))
