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
from predictq_producers.schedules.ticks import Ticks

__all__ = ["ScheduledJob", "Scheduler", "scheduled_job"]

log = logging.getLogger(__name__)

PUNCTUAL_SECONDS = 60.0
"""A tick that is not older was not missed: a scheduler that is started again, or two that take turns, are in time."""
MOST = 1000
"""Ticks of one schedule that are caught up with, the latest ones."""


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
        self._schedules = [_Schedule(name, schedule, file_url, now) for name, schedule in schedules.items()]
        self._starter = starter
        self._clock = clock
        self._due: deque[ScheduledJob] = deque()

    def __call__(self, stop: Stop) -> None:
        """Start what is due. Raises BrokerUnavailable."""
        now = self._clock()
        for schedule in self._schedules:
            self._due.extend(schedule.due(now))
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


class _Schedule:
    """One schedule, and up to when its jobs are started."""

    def __init__(self, name: str, schedule: ScheduleSettings, file_url: Callable[[str], str], now: float) -> None:
        self._name = name
        self._settings = schedule
        self._file_url = file_url
        self._ticks = Ticks(schedule.cron, schedule.timezone)
        back = PUNCTUAL_SECONDS if schedule.catch_up == "none" else max(schedule.catch_up_seconds, PUNCTUAL_SECONDS)
        self._done_until = now - back
        self._next = self._ticks.following(self._done_until)

    def due(self, now: float) -> list[ScheduledJob]:
        """The jobs whose time has come since it was asked last; of those that were missed what the schedule says."""
        if now < self._done_until - PUNCTUAL_SECONDS:
            log.warning("schedule %s: the clock was set back; what was started stays one job", self._name)
            self._done_until = now
            self._next = self._ticks.following(now)
        if now < self._next:
            return []
        ticks = self._ticks.between(self._done_until, now, most=MOST)
        self._done_until = now
        self._next = self._ticks.following(now)
        punctual = [tick for tick in ticks if tick.timestamp() >= now - PUNCTUAL_SECONDS]
        missed = ticks[: len(ticks) - len(punctual)]
        match self._settings.catch_up:
            case "none":
                missed = []
            case "last":
                missed = [] if punctual else missed[-1:]
            case "all":
                pass
        return [scheduled_job(self._name, self._settings, self._file_url, tick) for tick in [*missed, *punctual]]
