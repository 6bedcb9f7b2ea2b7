"""Functions for RQ's workers (https://python-rq.org): a job of RQ's becomes a job, or requests, of predictq.

    queue.enqueue("predictq_producers.rq_jobs.submit_file", "flowers", "/data/plants.csv", {"id_column": "plant"})

Arguments and results are JSON, as RQ's JSON serializer wants them. Ids derive from the id of RQ's job: however often
RQ tries it again, it is the same job here. Settings are those of the worker: `$PREDICTQ_CONFIG`, or ./predictq.toml.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from predictq.brokers import open_broker
from predictq.clock import parse_time
from predictq.errors import MissingExtra, UserMistake
from predictq.names import Names
from predictq.settings import Settings, load_settings
from predictq.starting import ensure_topics
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.client.direct import DirectClient
from predictq_producers.deriving import queued_job_id
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers
from predictq_producers.schedules.scheduler import scheduled_job

__all__ = ["start_scheduled", "submit_file", "submit_rows"]

PATIENCE_SECONDS = 60.0


def submit_file(endpoint: str, path: str, options: Mapping[str, Any] | None = None) -> str:
    """Start a job on a file that the worker reaches; its id. `options` are those of a job by HTTP.

    Raises UserMistake where the file cannot be read or the endpoint or an option is wrong, BrokerUnavailable.
    """
    job_id = queued_job_id(endpoint, _own_id())
    with _starter(load_settings(), trusted=False) as starter:
        try:
            starter.of_file(endpoint, job_id, Path(path), options or {})
        except OSError as error:
            raise UserMistake(f"{path}: cannot be read: {error.strerror}") from error
    return job_id


def submit_rows(
    endpoint: str,
    instances: Sequence[Any],
    options: Mapping[str, Any] | None = None,
    instances_per_request: int = 100,
) -> list[str]:
    """Submit instances as requests; their ids, in order. `options` are those of `Client.submit_many`.

    Raises Rejected for instances that the endpoint does not take, BrokerUnavailable.
    """
    with closing(DirectClient(load_settings(), None, PATIENCE_SECONDS)) as client:
        requests = client.submit_many(
            endpoint,
            instances,
            instances_per_request=instances_per_request,
            idempotency_key=f"rq {_own_id()}",
            **dict(options or {}),
        )
        return [request.id for request in requests]


def start_scheduled(schedule: str, tick: str) -> str:
    """Start the job of one tick (RFC 3339) of a schedule, as `predictq scheduler` would; its id.

    Raises UserMistake where the settings have no such schedule or its job is not accepted, BrokerUnavailable.
    """
    settings = load_settings()
    if schedule not in settings.schedules:
        known = ", ".join(sorted(settings.schedules)) or "none is configured"
        raise UserMistake(f"schedules.{schedule}: not in the settings of this worker; known: {known}")
    configured = settings.schedules[schedule]
    due = datetime.fromtimestamp(parse_time(tick), ZoneInfo(configured.timezone))
    job = scheduled_job(schedule, configured, settings.file_url, due)
    with _starter(settings, trusted=True) as starter:
        try:
            starter.of_source(job.endpoint, job.id, job.source, job.options)
        except Refused as error:
            raise UserMistake(f"schedules.{schedule}: the job of {tick} is refused: {error.reason}") from error
    return job.id


@contextmanager
def _starter(settings: Settings, *, trusted: bool) -> Iterator[JobStarter]:
    with closing(open_broker(settings.broker_url())) as broker:
        makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
        maker = JobMaker(Names(settings.prefix), makers, settings.jobs, trusted=trusted)
        storage = Storage(settings.storage_url(), settings.jobs.storage_options)
        ensure_topics(broker, topology_of(settings))
        with closing(JobStarter(maker, storage, broker.producer)) as starter:
            yield starter


def _own_id() -> str:
    try:
        from rq import get_current_job  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("a job of RQ's", "rq", of="predictq-producers") from error
    job = get_current_job()
    if job is None:
        raise UserMistake("this is for RQ's workers to call; enqueue it: queue.enqueue('predictq_producers.rq_jobs.…')")
    return str(job.id)
