"""The progress of a job on a terminal or in a notebook."""

import importlib.util
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from predictq_producers.client.job_state import JobState

__all__ = ["Bar"]


class Bar:
    """A live line: rows done and wanted, rows per second, how long it will take."""

    def __init__(self, asked: bool | None = None, *, console: Console | None = None) -> None:
        """None: where someone can see it. True: in any case, of which a file or a pipe gets the last state."""
        self._console = console or Console(stderr=True)
        self._shown = _can_be_seen(self._console) if asked is None else asked
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[more]}"),
            console=self._console,
            disable=not self._shown,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, job: JobState) -> None:
        """Show how far the job is."""
        if not self._shown:
            return
        if self._task is None:
            self._task = self._progress.add_task("", total=None, rows="", more="")
        total = job.counts["total"]
        self._progress.update(
            self._task,
            description=f"{job.endpoint or 'job'} {job.status}",
            total=total,
            completed=job.done_rows,
            rows=f"{job.done_rows:,} of {'?' if total is None else f'{total:,}'} rows",
            more=_more(job),
        )
        if job.finished:
            self._progress.stop_task(self._task)


def _more(job: JobState) -> str:
    parts = []
    if rate := job.body.get("rows_per_second"):
        parts.append(f"{rate:,.0f} rows/s")
    if (eta := job.body.get("eta_seconds")) is not None:
        parts.append(f"{eta:,.0f} s left")
    if failed := job.counts["failed"] + job.counts["expired"]:
        parts.append(f"{failed:,} failed")
    return ", ".join(parts)


def _can_be_seen(console: Console) -> bool:
    # A notebook shows a live line only by ipywidgets, and rich complains where they are missing.
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal
