"""The scheduler: starts the jobs that are due.

It keeps nothing: the id of a job derives from its schedule and the time that it is for, so that the same job may be
started by several schedulers, and again by one that was down, and is one job.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from predictq.clock import wire_time
from predictq.loop import Stop
from predictq.schedule_checks import filled_in
from predictq.settings import ScheduleSettings
from predictq_producers.deriving import scheduled_job_id
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.refusals import Refused
from predictq_producers.schedules.due import DueTicks

__all__ = ["ScheduledJob", "Scheduler", "scheduled_job"]

log = logging.getLogger(__name__)


class ScheduledJob(NamedTuple):
    """The job of one tick, as it is started."""

    id: str
    endpoint: str
    source: str
    options: Mapping[str, Any]


def scheduled_job(
    name: str, schedule: ScheduleSettings, file_url: Callable[[str], str], tick: datetime
) -> ScheduledJob:
    """The job that a schedule starts for this time."""
    at = wire_time(tick.timestamp())
    asked = {
        "format": schedule.format,
        "header": schedule.header,
        "delimiter": schedule.delimiter,
        "encoding": schedule.encoding,
        "id_column": schedule.id_column,
        "keep": schedule.keep or None,
        "result": None if schedule.result is None else file_url(filled_in(schedule.result, tick)),
        "result_format": schedule.result_format,
        "metadata": {"schedule": name, "tick": at},
    }
    return ScheduledJob(
        scheduled_job_id(schedule.endpoint, name, at),
        schedule.endpoint,
        file_url(filled_in(schedule.source, tick)),
        {key: value for key, value in asked.items() if value is not None},
    )


class Scheduler:
    """Called every so often. Jobs that are due and could not be started, because the broker is away, stay due."""

    def __init__(
        self,
        schedules: Mapping[str, ScheduleSettings],
        starter: JobStarter,
        file_url: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        """`file_url` gives URLs of this machine's files their place."""
        now = clock()
        self._schedules = [(name, schedule, DueTicks(name, schedule, now)) for name, schedule in schedules.items()]
        self._file_url = file_url
        self._starter = starter
        self._clock = clock
        self._due: deque[ScheduledJob] = deque()

    def __call__(self, stop: Stop) -> None:
        """Start what is due. Raises BrokerUnavailable."""
        now = self._clock()
        for name, schedule, ticks in self._schedules:
            self._due.extend(scheduled_job(name, schedule, self._file_url, tick) for tick in ticks.due(now))
        while self._due and not stop.is_set():
            self._start(self._due[0])
            self._due.popleft()

    def _start(self, job: ScheduledJob) -> None:
        said = job.options["metadata"]
        try:
            self._starter.of_source(job.endpoint, job.id, job.source, job.options)
        except Refused as error:
            log.error("schedule %s: the job of %s is refused: %s", said["schedule"], said["tick"], error.reason)  # noqa: TRY400
        else:
            log.info("schedule %s: job %s of %s is started", said["schedule"], job.id, said["tick"])
