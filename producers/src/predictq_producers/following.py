"""The composition root of `predictq jobs …`: each command is a client of the gateway.

Exit codes: 0 for a job that is completed, 1 for one that is not, or not yet; mistakes of the user end with 2.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from pydantic_core import to_json

from predictq.cli.output import emit_json, emit_table, say
from predictq.settings import load_settings
from predictq_producers.client import Client, Job, JobFailed, NotFinished
from predictq_producers.client.exchange import JobOptions
from predictq_producers.client.job_state import form_of

__all__ = ["cancel_job", "list_jobs", "save_results", "show_errors", "show_job", "submit_job"]

STDIN = "-"
PATIENCE_SECONDS = 10.0
"""With a gateway that is away: it may be just starting."""
COUNTS = ("succeeded", "failed", "expired", "cancelled", "queued")


def submit_job(
    url: str | None,
    endpoint: str,
    file: str,
    options: JobOptions,
    *,
    wait: bool,
    results: Path | None,
    as_json: bool,
) -> int:
    """Submit a file, standard input or a URL; then wait, with a bar on a terminal."""
    if results is not None:
        form_of(results, None)
    with _client(url) as client:
        job = _submitted(client, endpoint, file, options)
        if not as_json:
            sys.stdout.write(f"{job.id}\n")
            sys.stdout.flush()
        code = _waited(job) if wait else 0
        if results is not None and code == 0:
            say(f"results: {job.save(results)}")
        if as_json:
            emit_json(job.body)
    return code


def list_jobs(url: str | None, *, endpoint: str | None, status: str | None, limit: int, as_json: bool) -> int:
    """Print the latest jobs."""
    with _client(url) as client:
        jobs = list(islice(client.jobs(endpoint=endpoint, status=status), limit))
    if as_json:
        emit_json([job.body for job in jobs])
    else:
        columns = ("id", "endpoint", "status", "rows", "done", "failed", "created", "file")
        emit_table(columns, [_line(job) for job in jobs])
    return 0


def show_job(url: str | None, job_id: str, *, wait_seconds: float, as_json: bool) -> int:
    """Print how far a job is, after a wait where one is asked for."""
    with _client(url) as client:
        job = client.job(job_id)
        if wait_seconds:
            with suppress(JobFailed, NotFinished):  # shown below
                job.wait(wait_seconds)
    if as_json:
        emit_json(job.body)
    else:
        emit_table(("job", job.id), _facts(job))
    return _code(job)


def save_results(url: str | None, job_id: str, *, path: Path | None, form: str | None) -> int:
    """Write the results to a file, or to standard output."""
    with _client(url) as client:
        job = client.job(job_id)
        if path is not None:
            say(f"results: {job.save(path, form)}")
        else:
            for piece in job.results(form or "csv"):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    if code := _code(job):
        say(f"the job is {job.status}: these are the rows that it has so far")
    return code


def show_errors(url: str | None, job_id: str, *, as_json: bool) -> int:
    """Print the rows that failed; as JSON, one a line."""
    with _client(url) as client:
        job = client.job(job_id)
        if as_json:
            for error in job.errors():
                emit_json(error)
        else:
            columns = ("row", "column", "reason", "deployment", "value")
            emit_table(columns, [_error_line(error, columns) for error in job.errors()])
    return _code(job)


def cancel_job(url: str | None, job_id: str, *, as_json: bool) -> int:
    """Cancel a job; 1 where it was over before."""
    with _client(url) as client:
        job = client.job(job_id).cancel()
    if as_json:
        emit_json(job.body)
    else:
        sys.stdout.write(f"{job.id}  {job.status}\n")
    return 0 if job.status == "cancelled" else 1


@contextmanager
def _client(url: str | None) -> Iterator[Client]:
    """The settings are read only where they are needed."""
    with Client(url or load_settings().gateway.url, timeout=PATIENCE_SECONDS) as client:
        yield client


def _submitted(client: Client, endpoint: str, file: str, options: JobOptions) -> Job:
    if file == STDIN:
        return client.submit_file(endpoint, sys.stdin.buffer, **options)
    if "://" in file:
        return client.submit_source(endpoint, file, **options)
    return client.submit_file(endpoint, file, **options)


def _waited(job: Job) -> int:
    try:
        job.wait()
    except JobFailed as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say(f"no longer waited for; the job goes on: predictq jobs show {job.id}")
        return 1
    failed = job.counts["failed"] + job.counts["expired"]
    say(f"{job.counts['succeeded']} of {job.counts['total']} rows succeeded")
    if failed:
        say(f"{failed} did not: `predictq jobs errors {job.id}` tells why")
    return 0


def _code(job: Job) -> int:
    return 0 if job.status == "completed" else 1


def _line(job: Job) -> Sequence[object]:
    counts = job.counts
    failed = counts["failed"] + counts["expired"]
    made, source = job.body.get("created_at"), job.body.get("source")
    return job.id, job.endpoint, job.status, counts["total"], job.done_rows, failed, made, source


def _facts(job: Job) -> list[tuple[str, object]]:
    counts = {name: job.counts[name] for name in COUNTS if job.counts[name]}
    total = job.counts["total"]
    rows = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none yet"
    told = ("created_at", "started_at", "completed_at", "rows_per_second", "eta_seconds", "reason")
    return [
        ("endpoint", job.endpoint),
        ("file", job.body.get("source")),
        ("status", job.status),
        ("rows", rows if total is None else f"{rows}, of {total}"),
        *((name, job.body[name]) for name in told if job.body.get(name) is not None),
    ]


def _error_line(error: dict[str, object], columns: Sequence[str]) -> Sequence[object]:
    value = error["value"]
    text = value if isinstance(value, str) else to_json(value).decode()
    return [*(error[name] for name in columns[:-1]), text[:200]]
