"""`predictq submit`, `ingest`, `jobs`, `watch`, `scheduler` and `schedules`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from predictq.cli.output import Json
from predictq.settings import Settings, load_settings
from predictq.supervisor import ProcessSpec
from predictq_producers.files import Format
from predictq_producers.job_commands import register_jobs

__all__ = ["processes", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("submit", help="Submit the instances of a file; prints the ids of the requests.")(_submit)
    app.command("ingest", help="Run the intake, and what makes requests of jobs.")(_ingest)
    register_jobs(app)
    app.command("watch", help="Make a job of each file that is put into a folder.")(_watch)
    app.command("scheduler", help="Start the jobs of all schedules when they are due.")(_scheduler)
    app.command("schedules", help="Show when each schedule is due, and its last jobs.")(_schedules)


def processes(settings: Settings) -> Sequence[ProcessSpec]:
    """What `predictq up` runs of this member."""
    specs = [ProcessSpec("ingest", ("ingest",))] if settings.endpoints else []
    if settings.schedules:
        specs.append(ProcessSpec("scheduler", ("scheduler",)))
    return specs


def _submit(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON, JSON lines or CSV; - is standard input.")],
    form: Annotated[Format | None, typer.Option("--format", help="Instead of what the file's name ends with.")] = None,
    instances_per_request: Annotated[int, typer.Option(min=1, help="Rows that share one id.")] = 1,
    callback: Annotated[
        str | None, typer.Option("--callback", metavar="URL", help="Where the end of each request is pushed to.")
    ] = None,
    json: Json = False,
) -> None:
    from predictq_producers.submit_command import submit_file  # noqa: PLC0415 - slow to import: for this command alone

    submit_file(
        load_settings(),
        endpoint,
        file,
        form=form,
        instances_per_request=instances_per_request,
        callback=callback,
        as_json=json,
    )


def _ingest() -> None:
    from predictq_producers.process import run_ingest  # noqa: PLC0415 - see above

    raise typer.Exit(run_ingest(load_settings()))


def _watch(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder; what lies in it already is taken too.")],
    *,
    endpoint: Annotated[str, typer.Option("--endpoint", help="Whose deployments predict the rows.")],
    pattern: Annotated[str, typer.Option("--pattern", metavar="GLOB", help="Names of the files that are taken.")] = "*",
    done: Annotated[Path | None, typer.Option(help="Where files go that became jobs.  [default: PATH/done]")] = None,
    failed: Annotated[Path | None, typer.Option(help="Where refused files go.  [default: PATH/failed]")] = None,
    results: Annotated[Path | None, typer.Option(help="Where the sync service writes their results, if any.")] = None,
    result_format: Annotated[
        Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="Of the results.")
    ] = "csv",
    id_column: Annotated[str | None, typer.Option(help="Column that goes to the results and is no feature.")] = None,
    keep: Annotated[str | None, typer.Option(help="More such columns, between commas; * for all unknown ones.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change after which a file is whole.")] = 2.0,
) -> None:
    from predictq_producers.watching.process import run_watch  # noqa: PLC0415 - see above

    options = {name: value for name, value in (("id_column", id_column), ("keep", keep)) if value is not None}
    code = run_watch(
        load_settings(),
        folder,
        endpoint=endpoint,
        pattern=pattern,
        done=done,
        failed=failed,
        results=results,
        result_format=result_format,
        settle_seconds=settle,
        options=options,
    )
    raise typer.Exit(code)


def _scheduler() -> None:
    from predictq_producers.schedules.process import run_scheduler  # noqa: PLC0415 - see above

    raise typer.Exit(run_scheduler(load_settings()))


def _schedules(json: Json = False) -> None:
    from predictq_producers.schedules.listing import list_schedules  # noqa: PLC0415 - see above

    list_schedules(load_settings(), as_json=json)
