"""Whether a schedule of the settings can be kept: its endpoint, its cron expression, its timezone, its URLs."""

from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

__all__ = ["Schedule", "check_schedule", "filled_in"]


class Schedule(Protocol):
    """What is checked of it."""

    @property
    def endpoint(self) -> str: ...
    @property
    def cron(self) -> str: ...
    @property
    def timezone(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def result(self) -> str | None: ...


class Endpoints(Container[str], Iterable[str], Protocol):
    """Their names."""


def check_schedule(at: str, schedule: Schedule, endpoints: Endpoints) -> None:
    """Raises ValueError with the key, which begins with `at`, and what would be right."""
    if schedule.endpoint not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none is configured"
        raise ValueError(f"{at}.endpoint: {schedule.endpoint!r} is no endpoint; known: {known}")
    try:
        zone = ZoneInfo(schedule.timezone)
    except (OSError, ValueError, LookupError) as error:  # a name that is none, and one that names a folder
        raise ValueError(
            f"{at}.timezone: {schedule.timezone!r} is no timezone of the tz database; "
            "UTC or Europe/Berlin would be right"
        ) from error
    now = datetime.now(zone)
    try:
        next(CronSim(schedule.cron, now))
    except CronSimError as error:
        raise ValueError(
            f"{at}.cron: {schedule.cron!r}: {_said(error)}; minute, hour, day of the month, month and day of the week, "
            "such as 30 2 * * *, would be right"
        ) from error
    except StopIteration as error:
        raise ValueError(f"{at}.cron: {schedule.cron!r} is a time that never comes") from error
    for key, url in (("source", schedule.source), ("result", schedule.result)):
        if url is not None:
            _check_url(f"{at}.{key}", url, now)


def filled_in(url: str, tick: datetime) -> str:
    """The URL with the time that it is for in place of `{tick:…}`. Raises ValueError."""
    try:
        return url.format(tick=tick)
    except (LookupError, AttributeError) as error:
        raise ValueError("knows {tick} alone") from error


def _check_url(at: str, url: str, now: datetime) -> None:
    try:
        filled = filled_in(url, now.astimezone(UTC))
    except ValueError as error:
        raise ValueError(f"{at}: {url!r}: {error}; {{tick:%Y-%m-%d}} would be right") from error
    scheme, separator, rest = filled.partition("://")
    if not scheme or not separator or not rest or rest.endswith("/"):
        raise ValueError(f"{at}: {url!r} is no URL of a file; file://incoming/rows.csv would be right")


def _said(error: CronSimError) -> str:
    text = str(error)
    return f"{text[0].lower()}{text[1:]}" if text else "is no cron expression"
