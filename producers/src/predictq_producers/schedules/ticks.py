"""When a schedule is due."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

__all__ = ["Ticks"]

CHANGE = timedelta(hours=3)
"""Around a change of the clocks: on both sides of it an hour may have two names, or a name no hour."""


class Ticks:
    """The times of one cron expression in one timezone, as moments of that timezone; two are never the same moment."""

    def __init__(self, cron: str, timezone: str) -> None:
        """Both as the settings have checked them."""
        self._cron = cron
        self._zone = ZoneInfo(timezone)

    def following(self, after: float) -> float:
        """The first one after this moment, in Unix seconds; infinite where none comes any more."""
        return next((tick.timestamp() for tick in self._forwards(after)), float("inf"))

    def between(self, after: float, until: float, *, most: int) -> list[datetime]:
        """The last `most` of those after the one moment, and not after the other; in their order."""
        found: list[datetime] = []
        for tick in self._backwards(until):
            if tick.timestamp() <= after or len(found) == most:
                break
            found.append(tick)
        return found[::-1]

    def told(self, moment: float) -> str:
        """A moment as the schedule's timezone says it (RFC 3339)."""
        return datetime.fromtimestamp(moment, self._zone).isoformat()

    def _forwards(self, after: float) -> Iterator[datetime]:
        last = after
        for tick in CronSim(self._cron, self._at(after, -CHANGE)):
            if tick.timestamp() > last:
                last = tick.timestamp()
                yield tick

    def _backwards(self, until: float) -> Iterator[datetime]:
        # From the second after it, for what is asked is what lies before that.
        last = until + 0.001
        for tick in CronSim(self._cron, self._at(until + 1, CHANGE), reverse=True):
            if tick.timestamp() < last:
                last = tick.timestamp()
                yield tick

    def _at(self, moment: float, margin: timedelta) -> datetime:
        """The moment in the timezone, or one further off where the clocks change in between."""
        here = datetime.fromtimestamp(int(moment), self._zone)
        there = datetime.fromtimestamp(here.timestamp() + margin.total_seconds(), self._zone)
        back = datetime.fromtimestamp(here.timestamp() - margin.total_seconds(), self._zone)
        return here if here.utcoffset() == there.utcoffset() == back.utcoffset() else there
