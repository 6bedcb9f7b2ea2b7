"""The settings of jobs, and of what starts them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from predictq.sections import DAY, Name, Seconds, Section

__all__ = ["JobSettings", "RuleSettings", "ScheduleSettings"]


class JobSettings(Section):
    """Files of many rows."""

    storage: str = "file://var/storage"
    """Where uploads and what jobs are cut into are kept: an fsspec URL that every process reaches, such as
    `file:///srv/predictq` on a shared disk, or `s3://bucket/folder`. Once it is set, requests that are too large for a
    message go there too: `[claim_check]`."""
    storage_options: Mapping[str, str | int | bool] = Field(default_factory=dict)
    """Options of the storage's adapter, as fsspec's own documentation names them. For secrets."""
    sources: tuple[str, ...] = ()
    """What a job may name as its source instead of an upload: URLs that these begin, such as `s3://incoming/`."""
    results: tuple[str, ...] = ()
    """Where a job may ask for its result file: below URLs that these begin, such as `s3://outgoing/`. The sync service
    writes it. Schedules and watchers may name any."""
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 10 * 1024**3
    """Of one file as it is sent; above it 413."""
    max_file_bytes: Annotated[int, Field(ge=1024)] = 100 * 1024**3
    """Of one file unpacked; above it the job fails."""
    max_row_bytes: Annotated[int, Field(ge=1024, le=64 * 1024**2)] = 1024**2
    """Of one row of a text file; above it the job fails."""
    chunk_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Rows that one cutter turns into requests at a time."""
    request_rows: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Rows that one request holds, at most; never more than the endpoint's `max_instances`."""
    packed_requests: bool = True
    """Rows that are all numbers travel as columns of them (docs/messages.md), which costs less. Off where a worker that
    is not predictq's reads the requests."""
    max_waiting_requests: Annotated[int, Field(ge=1)] = 200
    """While a deployment has more requests of jobs before it, no chunk is cut."""
    nice: Annotated[int, Field(ge=0, le=19)] = 19
    """How far the work on files stands back behind all else that wants the processor, as Unix counts it; on Linux."""
    grace_seconds: Seconds = 30.0
    """After SIGTERM, how long the chunk in hand may take."""


class RuleSettings(Section):
    """Which objects become jobs when their store says that they were created; docs/events.md shows how."""

    bucket: Annotated[str, Field(min_length=1, max_length=255)]
    """Name of the bucket."""
    prefix: str = ""
    """What the object's key begins with."""
    suffix: str = ""
    """What it ends with."""
    endpoint: Name
    """The endpoint that predicts its rows."""
    source_url: str = "s3://{bucket}/{key}"
    """Where the object is read: an fsspec URL. It need not be among `jobs.sources`."""
    result: str | None = None
    """Where the results are written: a URL that ends with `.csv`, `.jsonl` or `.parquet`, with `{bucket}`, `{key}`, or
    `{name}`, which is the last part of the key without its ending."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Of the job, as by HTTP: `format`, `header`, `delimiter`, `encoding`, `keep`, `id_column`, `metadata`."""


class ScheduleSettings(Section):
    """A job that is started again and again; `predictq scheduler` does it, and `predictq up` runs that."""

    endpoint: Name
    """Whose deployments predict the rows."""
    source: str
    """URL of the file. `{tick:%Y-%m-%d}` stands for the time that a job is started for, in the schedule's timezone."""
    cron: str
    """Minute, hour, day of the month, month, day of the week, such as `30 2 * * *`; with a field more the first one is
    the second. Names of days and months, ranges, steps, `L` (the last day) and `MON#1` (the first Monday) are known."""
    timezone: str = "UTC"
    """Name of the tz database, such as `Europe/Berlin`. What falls into the hour that spring leaves out runs right
    after it; what falls into the one that autumn repeats runs once, unless its minute or hour begins with `*`."""
    result: str | None = None
    """URL of the result file, with the same stand-ins; the results are kept in the database anyway."""
    result_format: Literal["csv", "jsonl", "parquet"] | None = None
    """Instead of what the end of `result` says."""
    format: Literal["csv", "jsonl", "json", "parquet", "arrow"] | None = None
    """Of the source, instead of what its content and its name say."""
    header: bool | None = None
    """CSV: whether the first row names the columns, which it does where nothing is said."""
    delimiter: str | None = None
    """CSV: one character."""
    encoding: str | None = None
    """CSV: instead of UTF-8."""
    id_column: str | None = None
    """Column that is carried to the result and is no feature."""
    keep: tuple[str, ...] = ()
    """More such columns; `*` for all that the endpoint's schema does not know."""
    catch_up: Literal["last", "none", "all"] = "last"
    """Which jobs are started that were due while no scheduler ran: the last one, none, or all of them. A schedule that
    is new is treated as if it had been missed."""
    catch_up_seconds: Annotated[float, Field(ge=0, le=31 * DAY)] = DAY
    """How far back that looks."""
