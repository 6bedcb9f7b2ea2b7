"""The composition root of the scheduler's process."""

import time
from datetime import UTC, datetime

from predictq.brokers import open_broker
from predictq.errors import UserMistake
from predictq.logs import configure_logging
from predictq.loop import Rounds
from predictq.names import Names
from predictq.process import run_process
from predictq.settings import Settings
from predictq.starting import ensure_topics
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers
from predictq_producers.schedules.scheduler import Scheduler, scheduled_job

__all__ = ["run_scheduler"]

LOOK_SECONDS = 0.5
"""How late a job may be started."""
GRACE_SECONDS = 10.0


def run_scheduler(settings: Settings) -> int:
    """Start the jobs of all schedules until the process is told to stop; returns the exit code. For the main thread."""
    configure_logging(settings.log, process="scheduler")
    if not settings.schedules:
        raise UserMistake("schedules: none is configured, so there is nothing to start")
    broker = open_broker(settings.broker_url())
    names = Names(settings.prefix)
    makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
    maker = JobMaker(names, makers, settings.jobs, trusted=True)
    _check(settings, maker)
    ensure_topics(broker, topology_of(settings))
    storage = Storage(settings.storage_url(), settings.jobs.storage_options)
    starter = JobStarter(maker, storage, broker.producer)
    scheduler = Scheduler(settings.schedules, starter, settings.file_url, time.time)

    def close() -> None:
        starter.close()
        broker.close()

    rounds = Rounds(name="scheduler", call=scheduler, every_seconds=LOOK_SECONDS)
    return run_process("scheduler", [rounds], grace_seconds=GRACE_SECONDS, close=close)


def _check(settings: Settings, maker: JobMaker) -> None:
    """Raises UserMistake for a schedule none of whose jobs would be accepted."""
    for name, schedule in settings.schedules.items():
        job = scheduled_job(name, schedule, settings.file_url, datetime.now(UTC))
        try:
            maker.check(job.endpoint)
            maker.of_source(job.endpoint, job.id, job.source, job.options)
        except Refused as error:
            raise UserMistake(f"schedules.{name}: {error.reason}") from error
