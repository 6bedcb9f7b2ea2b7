"""`predictq jobs`: files of many rows, submitted to a gateway and followed."""

from pathlib import Path
from typing import Annotated

import typer

from predictq.cli.output import Json

__all__ = ["register_jobs"]

Url = Annotated[str | None, typer.Option("--url", help="Of the gateway, instead of that of the settings.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Of a job, as submitting gave it.")]


def register_jobs(app: typer.Typer) -> None:
    """Add the commands."""
    jobs = typer.Typer(no_args_is_help=True, help="Files of many rows, predicted in the background.")
    jobs.command("submit", help="Upload a file and wait for its results. Exit code 1 where the job fails.")(_submit)
    jobs.command("list", help="The latest jobs.")(_list)
    jobs.command("show", help="How far a job is. Exit code 1 while it is not completed.")(_show)
    jobs.command("results", help="The result file, as far as it is. Exit code 1 while the job is not completed.")(
        _results
    )
    jobs.command("errors", help="The rows that failed, and why. Exit code 1 while the job is not completed.")(_errors)
    jobs.command("cancel", help="Give a job up. Exit code 1 where it was over before.")(_cancel)
    app.add_typer(jobs, name="jobs")


# The client is an extra, and slow to import: for these commands alone.
# ruff: noqa: PLC0415


def _submit(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL|-",
            help="CSV, JSON Lines, JSON, Parquet or Arrow, packed or not; a URL is read by the service; - is "
            "standard input.",
        ),
    ],
    *,
    id_column: Annotated[
        str | None, typer.Option("--id-column", help="Column that names a row in the results.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="Column for the results alone; may be repeated; * keeps all unknown ones."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl, json, parquet or arrow, where the file does not tell.")
    ] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether a CSV's first line names the columns.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Of a CSV, where it does not tell.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of a CSV, where it is not UTF-8.")] = None,
    callback: Annotated[
        str | None, typer.Option("--callback", metavar="URL", help="Where the end of the job is pushed to.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is completed.")] = True,
    results: Annotated[
        Path | None, typer.Option("--results", help="Write the results there: .csv, .jsonl or .parquet.")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    from predictq_producers.client.exchange import JobOptions
    from predictq_producers.following import submit_job

    if results is not None and not wait:
        raise typer.BadParameter("--results needs the job to be waited for", param_hint="--no-wait")
    options = JobOptions(
        keep=keep or (),
        id_column=id_column,
        format=form,
        header=header,
        delimiter=delimiter,
        encoding=encoding,
        callback=callback,
    )
    raise typer.Exit(submit_job(url, endpoint, file, options, wait=wait, results=results, as_json=json))


def _list(
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only those of this endpoint.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="Only queued, running, completed, failed or cancelled ones.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the latest ones.")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    from predictq_producers.following import list_jobs

    raise typer.Exit(list_jobs(url, endpoint=endpoint, status=status, limit=limit, as_json=json))


def _show(
    job_id: JobId,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it is over.")] = 0.0,
    url: Url = None,
    json: Json = False,
) -> None:
    from predictq_producers.following import show_job

    raise typer.Exit(show_job(url, job_id, wait_seconds=wait, as_json=json))


def _results(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, instead of standard output.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or parquet; instead of what the file's name says.")
    ] = None,
    url: Url = None,
) -> None:
    from predictq_producers.following import save_results

    raise typer.Exit(save_results(url, job_id, path=output, form=form))


def _errors(job_id: JobId, url: Url = None, json: Json = False) -> None:
    from predictq_producers.following import show_errors

    raise typer.Exit(show_errors(url, job_id, as_json=json))


def _cancel(job_id: JobId, url: Url = None, json: Json = False) -> None:
    from predictq_producers.following import cancel_job

    raise typer.Exit(cancel_job(url, job_id, as_json=json))
