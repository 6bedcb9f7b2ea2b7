"""Which ticks of a schedule are due, those included that were missed."""

import logging
from datetime import datetime

from predictq.settings import ScheduleSettings
from predictq_producers.schedules.ticks import Ticks

__all__ = ["DueTicks"]

log = logging.getLogger(__name__)

PUNCTUAL_SECONDS = 60.0
"""A tick that is not older was not missed: a scheduler that is started again, or two that take turns, are in time."""
MOST = 1000
"""Ticks of one schedule that are caught up with, the latest ones."""


class DueTicks:
    """The ticks of one schedule, each given once, and up to when they have been."""

    def __init__(self, name: str, schedule: ScheduleSettings, now: float) -> None:
        self._name = name
        self._catch_up = schedule.catch_up
        self._ticks = Ticks(schedule.cron, schedule.timezone)
        back = PUNCTUAL_SECONDS if schedule.catch_up == "none" else max(schedule.catch_up_seconds, PUNCTUAL_SECONDS)
        self._done_until = now - back
        self._next = self._ticks.following(self._done_until)

    @property
    def next(self) -> float:
        """When there will be one that is due, in Unix seconds: in the past, if there is already; it may be infinite."""
        return self._next

    def due(self, now: float) -> list[datetime]:
        """Those whose time has come since it was asked last; of those that were missed what the schedule says."""
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
        match self._catch_up:
            case "none":
                missed = []
            case "last":
                missed = [] if punctual else missed[-1:]
            case "all":
                pass
        return [*missed, *punctual]
