"""Schedules on RQ: its own scheduler and its own worker, on a real Redis."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from rq import Queue, cron_job_registry
from rq.cron import CronJob, CronScheduler, get_cron_job_history_key, get_cron_job_ids
from rq.job import Job
from rq.serializers import JSONSerializer
from tests.conftest import Installation, eventually
from tests.servers.finding import url_of

from predictq.errors import UserMistake
from predictq.messages import CHUNK, JOB
from predictq.settings import load_settings
from predictq_producers.schedules.rq_cron import cron_scheduler
from predictq_producers.schedules.scheduler import scheduled_job
from predictq_producers.schedules.ticks import Ticks

SETTINGS = """
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
[schedules.often]
endpoint = "sums"
source = "file://incoming/rows.csv"
cron = "*/20 * * * * *"
timezone = "Asia/Kathmandu"
catch_up = "none"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row.values()) for row in batch]
"""
JOBS = "predictq.sums.jobs"
CRON = """
import os
from redis import Redis
from predictq_producers.schedules.rq_cron import cron_scheduler
cron_scheduler(Redis.from_url(os.environ["RQ_REDIS_URL"]), "schedules").start()
"""
RQ = str(Path(sys.executable).parent / "rq")
SEEN = """
import json, os
from redis import Redis
from rq import Queue, cron_job_registry
from rq.cron import CronScheduler, get_cron_job_ids
redis = Redis.from_url(os.environ["RQ_REDIS_URL"])
finished = Queue("schedules", connection=redis).finished_job_registry.get_job_ids()
schedulers = CronScheduler.all(redis)
print(json.dumps({
    "finished": finished,
    "schedulers": len(schedulers),
    "jobs": [[job.name, job.job_options["meta"]["timezone"]] for one in schedulers for job in one.get_jobs()],
    "names": cron_job_registry.get_names(redis),
    "history": get_cron_job_ids("predictq.often", redis),
}))
"""


class Rq:
    """RQ's processes beside an installation, under keys of their own."""

    def __init__(self, installation: Installation) -> None:
        self._folder = installation.folder
        self.prefix = f"test-{uuid.uuid4().hex}"
        self._environment = {
            **os.environ,
            "PREDICTQ_CONFIG": str(installation.config),
            "RQ_REDIS_URL": url_of("redis"),
            "RQ_KEY_PREFIX": self.prefix,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str) -> Path:
        """Start it; its log."""
        log = self._folder / f"rq-{len(self._processes)}.log"
        with log.open("wb") as file:
            self._processes.append(
                subprocess.Popen(argv, env=self._environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            )
        return log

    def run(self, *argv: str) -> str:
        return subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=True).stdout

    def seen(self) -> dict[str, Any]:
        """What RQ's own registries say."""
        found: dict[str, Any] = json.loads(self.run(sys.executable, "-c", SEEN))
        return found

    def stop(self) -> list[int]:
        """Their exit codes."""
        for process in self._processes:
            process.terminate()
        return [process.wait(60) for process in self._processes]

    def clear(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        with closing(redis.Redis.from_url(url_of("redis"))) as connection:
            for key in connection.scan_iter(f"{self.prefix}:*"):
                connection.delete(key)


@pytest.fixture
def rq(installation: Installation) -> Iterator[Rq]:
    one = Rq(installation)
    yield one
    one.clear()


def test_beside_two_of_rqs_schedulers_and_one_of_ours_each_tick_is_one_job(installation: Installation, rq: Rq) -> None:
    installation.configure(SETTINGS, MODELS)
    (installation.folder / "incoming").mkdir()
    (installation.folder / "incoming" / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    installation.run("topics", "ensure")
    installation.audit(JOBS)
    installation.started(("up", "--json"))
    for _ in range(2):
        rq.start(sys.executable, "-c", CRON)
    worker = rq.start(RQ, "worker", "schedules", "--serializer", "json")

    eventually(lambda: worker.read_text().count("Job OK") >= 3, worker.read_text)
    finished = set(rq.seen()["finished"])
    eventually(lambda: finished <= completed(installation), installation.logs)
    seen, info = rq.seen(), rq.run(RQ, "info")
    assert rq.stop() == [0, 0, 0]

    values = [record.value for record in installation.messages(JOBS)]
    accepted = Counter(JOB.decode(value)["data"]["job_id"] for value in values if b'"accepted"' in value)
    assert {accepted[job] for job in finished} == {2}, "once by ours, once by RQ, whose schedulers are two"
    planned = Counter(
        CHUNK.decode(value)["data"]["job_id"]
        for value in values
        if b'"predictq.chunk.v1"' in value and b'"planned"' in value
    )
    assert finished <= set(planned)
    assert set(planned.values()) == {1}

    assert seen["schedulers"] == 2
    assert seen["jobs"] == [["predictq.often", "Asia/Kathmandu"]] * 2
    assert seen["names"] == ["predictq.often"]
    assert finished <= set(seen["history"])
    assert "schedules" in info
    assert "1 workers" in info


def completed(installation: Installation) -> set[str]:
    return {row["id"] for row in installation.rows("SELECT id FROM jobs WHERE status = 'completed'")}


@pytest.fixture
def schedulers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], CronScheduler]]:
    """RQ's schedulers of these settings, in this process, one after the other."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    queue_name = f"test-{prefix}"
    monkeypatch.setenv("PREDICTQ_CONFIG", str(tmp_path / "predictq.toml"))
    with closing(redis.Redis.from_url(url_of("redis"))) as connection:

        def scheduler(schedules: str) -> CronScheduler:
            settings = f'prefix = "{prefix}"\n[endpoints.sums]\n{schedules}'
            (tmp_path / "predictq.toml").write_text(settings)
            return cron_scheduler(connection, queue_name)

        yield scheduler
        Queue(queue_name, connection=connection, serializer=JSONSerializer).delete(delete_jobs=True)
        for name in cron_job_registry.get_names(connection):
            if name.startswith(prefix):
                connection.zrem(cron_job_registry.get_registry_key(), name)
                connection.delete(get_cron_job_history_key(name))


HOURLY = """[schedules.hourly]
endpoint = "sums"
source = "file:///in/{tick:%H}.csv"
cron = "0 * * * *"
timezone = "America/St_Johns"
catch_up = "all"
catch_up_seconds = 10800
"""


def test_ticks_that_were_missed_are_jobs_with_the_ids_of_our_scheduler_and_no_second_ones(
    schedulers: Callable[[str], CronScheduler],
) -> None:
    first = schedulers(HOURLY)
    now = time.time()
    assert [job.name for job in first.enqueue_jobs()] == [first.get_jobs()[0].name]
    assert first.enqueue_jobs() == []
    assert len(schedulers(HOURLY).enqueue_jobs()) == 1, "it cannot know of the first"

    queue = Queue(first.get_jobs()[0].queue_name, connection=first.connection, serializer=JSONSerializer)
    settings = load_settings()
    schedule = settings.schedules["hourly"]
    ticks = Ticks(schedule.cron, schedule.timezone).between(now - 10800, now, most=9)
    expected = [scheduled_job("hourly", schedule, settings.file_url, tick).id for tick in ticks]
    assert len(expected) == 3
    assert queue.job_ids == expected
    assert get_cron_job_ids(first.get_jobs()[0].name, first.connection)[::-1] == expected
    jobs = [Job.fetch(job, connection=first.connection, serializer=JSONSerializer) for job in expected]
    assert [job.args[0] for job in jobs] == ["hourly"] * 3
    assert [datetime.fromisoformat(job.args[1]) for job in jobs] == ticks


@pytest.mark.parametrize("timezone", ["America/Los_Angeles", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "15 30 2 * * *", "0 0 L * *", "0 0 LW * *", "0 9 * * 5L"])
def test_each_schedule_is_due_in_its_own_timezone_and_can_be_read_by_rqs_tools(
    schedulers: Callable[[str], CronScheduler], cron: str, timezone: str
) -> None:
    text = HOURLY.replace("0 * * * *", cron).replace("America/St_Johns", timezone).replace('"all"', '"none"')
    [job] = schedulers(text).get_jobs()

    following = Ticks(cron, timezone).following(time.time() - 60)
    assert job.next_enqueue_time == datetime.fromtimestamp(following, ZoneInfo(timezone))
    read = CronJob.from_dict(json.loads(json.dumps(job.to_dict())))
    assert read.next_enqueue_time == job.next_enqueue_time
    assert read.job_options["meta"] == {"schedule": "hourly", "cron": cron, "timezone": timezone}


def test_without_schedules_it_is_refused(schedulers: Callable[[str], CronScheduler]) -> None:
    with pytest.raises(UserMistake, match="schedules: none is configured"):
        schedulers("")
