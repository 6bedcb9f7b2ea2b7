"""How commands speak: rich on a terminal, tab-separated or JSON where a script reads."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["Json", "draw_table", "emit_json", "emit_table", "say"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; tab-separated with a header line when it is no terminal."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            sys.stdout.write("\t".join("" if cell is None else str(cell) for cell in row) + "\n")
        return
    Console().print(draw_table(columns, rows, title=title))


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> Table:
    """A table for a terminal."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, show_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    return table


def say(text: str) -> None:
    """A line for people, on standard error, so that standard output stays for data."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)
