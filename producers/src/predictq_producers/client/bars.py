"""The progress of a job on a terminal or in a notebook."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from predictq_producers.client.job_state import JobState

__all__ = ["Bar"]


class Bar:
    """A live line: rows done and wanted, rows per second, how long it will take."""

    def __init__(self, asked: bool | None = None, *, console: Console | None = None) -> None:
        """None: where someone can see it. True: in any case, of which a file or a pipe gets the last state."""
        self._console = console or Console(stderr=True)
        seen = self._console.is_jupyter or self._console.is_terminal
        self._shown = seen if asked is None else asked
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
        self._output: Any = None

    def __enter__(self) -> Self:
        if not self._console.is_jupyter:
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
        if self._console.is_jupyter:
            self._draw_in_notebook()

    def _draw_in_notebook(self) -> None:
        # Redrawn output: a live line of rich's needs ipywidgets, and is not there in a saved notebook.
        from IPython.display import display  # noqa: PLC0415 - there, as the notebook is

        if self._output is None:
            self._output = display(self._progress, display_id=True)  # type: ignore[no-untyped-call]  # has no types
        else:
            self._output.update(self._progress)


def _more(job: JobState) -> str:
    parts = []
    if rate := job.body.get("rows_per_second"):
        parts.append(f"{rate:,.0f} rows/s")
    if (eta := job.body.get("eta_seconds")) is not None:
        parts.append(f"{eta:,.0f} s left")
    if failed := job.counts["failed"] + job.counts["expired"]:
        parts.append(f"{failed:,} failed")
    return ", ".join(parts)
