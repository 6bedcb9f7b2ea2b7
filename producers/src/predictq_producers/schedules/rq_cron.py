"""Schedules on RQ (https://python-rq.org): its cron scheduler and its workers, in place of `predictq scheduler`.

    cron_scheduler(Redis.from_url("redis://localhost"), "schedules").start()

RQ's own cron jobs know local time alone, and are pickled. These are due when the settings say, in the timezone that
they say, and are JSON; the id of each is that of the job which it starts here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from predictq.clock import wire_time
from predictq.errors import MissingExtra, UserMistake
from predictq.settings import ScheduleSettings, Settings, load_settings
from predictq_producers.rq_jobs import start_scheduled
from predictq_producers.schedules.due import DueTicks
from predictq_producers.schedules.scheduler import scheduled_job

try:
    from redis import Redis
    from rq import Queue, cron_job_registry
    from rq.cron import CronJob, CronScheduler
    from rq.defaults import DEFAULT_CRON_JOB_HISTORY_LIMIT, DEFAULT_CRON_JOB_HISTORY_TTL, DEFAULT_RESULT_TTL
    from rq.exceptions import DuplicateJobError
    from rq.job import Job
    from rq.serializers import JSONSerializer
except ImportError as error:
    raise MissingExtra("RQ's cron scheduler", "rq", of="predictq-producers") from error

__all__ = ["cron_scheduler"]


def cron_scheduler(connection: Redis, queue_name: str) -> CronScheduler:
    """RQ's scheduler with all schedules of the settings; its `start` blocks until the process is told to stop.

    Settings are those of the process: `$PREDICTQ_CONFIG`, or ./predictq.toml. Raises UserMistake where they have no
    schedule.
    """
    settings = load_settings()
    if not settings.schedules:
        raise UserMistake("schedules: none is configured, so there is nothing to start")
    return _Scheduler(connection, queue_name, settings)


class _Scheduler(CronScheduler):
    def __init__(self, connection: Redis, queue_name: str, settings: Settings) -> None:
        super().__init__(connection)
        self._cron_jobs.extend(
            _Schedule(f"{settings.prefix}.{name}", queue_name, name, schedule, settings.file_url)
            for name, schedule in settings.schedules.items()
        )


class _Schedule(CronJob):
    """One schedule. Several of its ticks are due at once, or none, where the scheduler was away or slept."""

    def __init__(
        self, rq_name: str, queue_name: str, name: str, schedule: ScheduleSettings, file_url: Callable[[str], str]
    ) -> None:
        self._name = name
        self._schedule = schedule
        self._file_url = file_url
        self._ticks = DueTicks(name, schedule, time.time())
        self._due: list[datetime] = []
        super().__init__(
            queue_name,
            func=start_scheduled,
            args=(name,),
            cron=schedule.cron,
            # As long as RQ keeps a job it takes no other of the same id.
            result_ttl=max(int(schedule.catch_up_seconds), DEFAULT_RESULT_TTL),
            meta={"schedule": name, "cron": schedule.cron, "timezone": schedule.timezone},
            name=rq_name,
        )

    def get_next_enqueue_time(self) -> datetime:
        """When a tick is due; in the past, if one is already."""
        following = self._ticks.next
        return datetime.max.replace(tzinfo=UTC) if following == float("inf") else datetime.fromtimestamp(following, UTC)

    def should_run(self) -> bool:
        """Whether a tick is due; of those that were missed what the schedule says."""
        self._due += self._ticks.due(time.time())
        self.next_enqueue_time = self.get_next_enqueue_time()
        return bool(self._due)

    def enqueue(self, connection: Redis) -> Job:
        """Enqueue a job for each tick that is due, unless another scheduler has; the last of them."""
        jobs = [self._enqueue(connection, tick) for tick in self._due]
        self._due.clear()
        return jobs[-1]

    def to_dict(self) -> dict[str, Any]:
        """What RQ's tools show. They put the second last, and an expression that is unknown to them is an error."""
        fields = self._schedule.cron.split()
        cron = " ".join([*fields[-5:], *fields[:-5]])
        try:
            CronJob(self.queue_name, func_name=self.func_name, cron=cron)
        except ValueError:
            cron = f"{self.get_next_enqueue_time():%M %H %d %m} *"
        return {**super().to_dict(), "cron": cron}

    def _enqueue(self, connection: Redis, tick: datetime) -> Job:
        queue = Queue(self.queue_name, connection=connection, serializer=JSONSerializer)
        job = queue.create_job(
            start_scheduled,
            args=(self._name, wire_time(tick.timestamp())),
            job_id=scheduled_job(self._name, self._schedule, self._file_url, tick).id,
            **self.job_options,
        )
        with suppress(DuplicateJobError):
            queue.enqueue_job(job, unique=True)
        with connection.pipeline() as pipeline:
            pipeline.zadd(self.job_history_key, {job.id: tick.timestamp()})
            pipeline.zremrangebyrank(self.job_history_key, 0, -(DEFAULT_CRON_JOB_HISTORY_LIMIT + 1))
            pipeline.expire(self.job_history_key, DEFAULT_CRON_JOB_HISTORY_TTL)
            cron_job_registry.add(self.name, pipeline)
            pipeline.execute()
        return job
