"""`predictq schedules`: when each is due next, and what became of its last jobs."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from predictq.cli.output import emit_json, emit_table, say
from predictq.errors import MissingExtra
from predictq.settings import Settings
from predictq_producers.schedules.scheduler import scheduled_job
from predictq_producers.schedules.ticks import Ticks

__all__ = ["list_schedules"]

LAST = 3
"""Jobs of each that are shown, the latest first."""
YEARS_SECONDS = 10 * 366 * 86_400.0
GATEWAY_SECONDS = 10.0
ASKED_AT_ONCE = 8


def list_schedules(settings: Settings, *, as_json: bool) -> None:
    """Print them. How its jobs are the gateway knows; where none answers that stays open."""
    now = time.time()
    shown = [_shown(name, settings, now) for name in settings.schedules]
    _ask(settings.gateway.url, [job for schedule in shown for job in schedule["jobs"]])
    if as_json:
        emit_json(shown)
        return
    rows: list[tuple[object, ...]] = []
    for each in shown:
        first, *more = each["jobs"] or [{"tick": None, "id": None, "status": None}]
        own = (each["name"], each["endpoint"], f"{each['cron']} ({each['timezone']})", each["next"])
        rows.append((*own, first["tick"], first["status"], first["id"]))
        rows += [(None, None, None, None, job["tick"], job["status"], job["id"]) for job in more]
    emit_table(("schedule", "endpoint", "cron", "next", "last", "status", "job"), rows)


def _shown(name: str, settings: Settings, now: float) -> dict[str, Any]:
    schedule = settings.schedules[name]
    ticks = Ticks(schedule.cron, schedule.timezone)
    following = ticks.following(now)
    jobs = [
        {
            "tick": tick.isoformat(),
            "id": scheduled_job(name, schedule, settings.file_url, tick).id,
            "status": None,
        }
        for tick in reversed(ticks.between(now - YEARS_SECONDS, now, most=LAST))
    ]
    return {
        "name": name,
        "endpoint": schedule.endpoint,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "next": None if following == float("inf") else ticks.told(following),
        "jobs": jobs,
    }


def _ask(url: str, jobs: list[dict[str, Any]]) -> None:
    """Write the statuses of the jobs into them."""
    try:
        import httpx  # noqa: PLC0415 - an extra
    except ImportError:
        say(str(MissingExtra("the status of jobs", "schedules", of="predictq-producers")))
        return

    with httpx.Client(base_url=url, timeout=GATEWAY_SECONDS) as http, ThreadPoolExecutor(ASKED_AT_ONCE) as threads:

        def status(job: dict[str, Any]) -> str | None:
            answer = http.get(f"/v1/jobs/{job['id']}")
            if answer.status_code == 404:
                return "not started"
            answer.raise_for_status()
            found: str = answer.json()["status"]
            return found

        try:
            for job, found in zip(jobs, threads.map(status, jobs), strict=True):
                job["status"] = found
        except httpx.HTTPError as error:
            say(f"the gateway at {url} does not tell how the jobs are: {error}")
