"""Results as a table: which columns it has, and what of each chunk stands in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from predictq_sync.jobs.flattening import Path, column_of, paths_of
from predictq_sync.jobs.outputs import Outputs
from predictq_sync.jobs.results import Page

__all__ = ["Leaf", "Table", "tables_of"]


class Leaf(NamedTuple):
    """The column of a table that stands at one path of a deployment's outputs."""

    outputs: Outputs
    path: Path

    def values(self) -> Sequence[Any]:
        """A value a row."""
        return column_of(self.outputs.values, self.path)


Table = list[tuple[str, Sequence[Any] | Leaf]]
"""All columns of a chunk, with their names: what was kept may be called as one of ours."""


def tables_of(pages: Iterable[Page], deployments: Sequence[str]) -> Iterator[Table]:
    """One a chunk, all with the same columns: those of the first chunk that has any outputs.

    The chunks before it are held until then. Where there is no chunk at all, a table without rows.
    """
    columns = _Columns(deployments)
    held: list[Page] = []
    settled = False
    for page in pages:
        if settled:
            yield columns.of(page)
            continue
        held.append(page)
        if columns.settle(page):
            settled = True
            yield from map(columns.of, held)
            held = []
    yield from map(columns.of, held or ([] if settled else [_EMPTY]))


class _Columns:
    """A group of columns for each deployment, its name before them where there are several."""

    def __init__(self, deployments: Sequence[str]) -> None:
        self._deployments = deployments
        self._paths: dict[str, Mapping[str, Path]] = {}
        self._carried: list[str] = []

    def settle(self, page: Page) -> bool:
        """Learn from the rows of a chunk; whether that was enough."""
        self._carried = list(page.carried)
        for deployment, outputs in page.outputs.items():
            if found := paths_of(outputs.values):
                self._paths[deployment] = found
        return bool(self._paths)

    def of(self, page: Page) -> Table:
        rows = len(page.statuses)
        nothing: list[Any] = [None] * rows
        several = len(self._deployments) > 1
        table: Table = [("row", range(page.first_row, page.first_row + rows))]
        table += [(name, page.carried.get(name, nothing)) for name in self._carried]
        table.append(("status", page.statuses))
        for deployment in self._deployments:
            outputs = page.outputs.get(deployment)
            for name, path in self._paths.get(deployment, {}).items():
                column = nothing if outputs is None else Leaf(outputs, path)
                table.append((f"{deployment}.{name}" if several else name, column))
        table.append(("error", page.errors))
        return table


_EMPTY = Page(1, [], {}, [], {})
