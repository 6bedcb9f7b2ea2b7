"""The scheduler, with a clock of the test's: a job a tick, whatever stands still, runs twice or was away."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from predictq.brokers import Broker, Done, Subscription, open_broker
from predictq.errors import BrokerUnavailable
from predictq.loop import Stop
from predictq.messages import JOB, JobData
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, ScheduleSettings, Settings
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.requests import request_makers
from predictq_producers.schedules.scheduler import Scheduler

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
HOURLY = "0 * * * *"


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Bench:
    """A broker in memory, schedulers on it, and the jobs that came."""

    def __init__(self, broker: Broker, settings: Settings, storage: Storage) -> None:
        self.clock = Clock(NOON + 600)
        self.broker = broker
        self.settings = settings
        self._storage = storage
        self._consumer = broker.consumer(
            Subscription(topics=("predictq.sums.jobs",), member="test", group="predictq.planner")
        )
        self.away = False

    def scheduler(self, **schedule: Any) -> Scheduler:
        maker = JobMaker(
            Names(),
            request_makers(self.settings, max_message_bytes=self.broker.max_message_bytes),
            self.settings.jobs,
            trusted=True,
        )
        given = {"endpoint": "sums", "source": "file:///in/{tick:%H%M}.csv", "cron": HOURLY, **schedule}
        starter = JobStarter(maker, self._storage, self._producer)
        return Scheduler({"nightly": ScheduleSettings(**given)}, starter, self.settings.file_url, self.clock)

    def _producer(self) -> Any:
        if self.away:
            raise BrokerUnavailable("the broker is away")
        return self.broker.producer()

    def started(self) -> list[JobData]:
        """The jobs since it was asked last."""
        batch = self._consumer.poll(1000, 1 << 20, 0.0)
        self._consumer.settle(batch, [Done()] * len(batch))
        return [JOB.decode(record.value)["data"] for record in batch]

    def sources(self) -> list[str]:
        return [job["source"]["name"].removesuffix(".csv") for job in self.started()]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = Settings(
        broker=f"memory://{uuid4().hex}",
        endpoints={"sums": EndpointSettings(partitions=1)},
        deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
    )
    with closing(open_broker(settings.broker_url())) as broker:
        with closing(broker.admin()) as admin:
            admin.ensure(topology_of(settings))
        bench = Bench(broker, settings, Storage(f"file://{tmp_path}", {}))
        yield bench
        bench.close()


def test_a_job_is_started_when_its_time_has_come_and_not_again(bench: Bench) -> None:
    scheduler = bench.scheduler(catch_up="none")
    for seconds in (0, 10, 2999, 3000, 3001, 3600):
        bench.clock.now = NOON + 600 + seconds
        scheduler(Stop())

    assert bench.sources() == ["1300"]


def test_a_job_says_what_its_schedule_says(bench: Bench) -> None:
    scheduler = bench.scheduler(
        timezone="Europe/Berlin",
        result="file:///out/{tick:%Y-%m-%d}.parquet",
        id_column="id",
        keep=("name",),
        format="csv",
        delimiter=";",
        header=True,
        catch_up="none",
    )
    bench.clock.now = NOON + HOUR
    scheduler(Stop())

    [job] = bench.started()
    assert job["source"] == {
        "url": "file:///in/1500.csv",  # 13:00 in UTC
        "name": "1500.csv",
        "format": "csv",
        "header": True,
        "delimiter": ";",
    }
    assert job["result"] == {"url": "file:///out/2026-05-04.parquet", "format": "parquet"}
    assert job["keep"] == ["name"]
    assert job["id_column"] == "id"
    assert job["metadata"] == {"schedule": "nightly", "tick": "2026-05-04T13:00:00.000Z"}


def test_two_schedulers_and_one_that_starts_again_mean_the_same_jobs(bench: Bench) -> None:
    first, second = bench.scheduler(), bench.scheduler()
    bench.clock.now = NOON + HOUR
    for scheduler in (first, second, bench.scheduler()):
        scheduler(Stop())

    ids = {job["source"]["name"]: job["job_id"] for job in bench.started()}
    bench.clock.now += 60
    bench.scheduler()(Stop())
    assert [job["job_id"] for job in bench.started()] == [ids["1300.csv"]]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [("last", ["1200"]), ("none", []), ("all", ["0900", "1000", "1100", "1200"])],
)
def test_what_was_missed_is_caught_up_with_as_the_schedule_says(
    bench: Bench, catch_up: str, expected: list[str]
) -> None:
    bench.scheduler(catch_up=catch_up, catch_up_seconds=3.5 * HOUR)(Stop())

    assert bench.sources() == expected


@pytest.mark.parametrize(
    ("catch_up", "expected"), [("last", ["1500"]), ("none", []), ("all", ["1300", "1400", "1500"])]
)
def test_a_machine_that_slept_is_treated_alike(bench: Bench, catch_up: str, expected: list[str]) -> None:
    scheduler = bench.scheduler(catch_up=catch_up, catch_up_seconds=0)
    scheduler(Stop())
    bench.clock.now = NOON + 3.5 * HOUR
    scheduler(Stop())

    assert bench.sources() == expected


def test_a_tick_of_just_now_was_not_missed(bench: Bench) -> None:
    bench.clock.now = NOON + 30
    bench.scheduler(catch_up="none")(Stop())

    assert bench.sources() == ["1200"]


@pytest.mark.parametrize("catch_up", ["last", "none", "all"])
def test_what_was_due_while_the_broker_was_away_is_started_when_it_is_back(bench: Bench, catch_up: str) -> None:
    scheduler = bench.scheduler(catch_up=catch_up, catch_up_seconds=0)
    bench.away = True
    bench.clock.now = NOON + HOUR
    with pytest.raises(BrokerUnavailable):
        scheduler(Stop())
    bench.away = False
    bench.clock.now = NOON + 1.5 * HOUR
    scheduler(Stop())

    assert bench.sources() == ["1300"]


def test_a_clock_that_ran_ahead_and_is_set_right_stops_no_schedule(bench: Bench) -> None:
    bench.clock.now = NOON + 1000 * HOUR
    scheduler = bench.scheduler(catch_up="none")
    scheduler(Stop())
    bench.started()
    bench.clock.now = NOON + 600
    scheduler(Stop())
    bench.clock.now = NOON + HOUR
    scheduler(Stop())

    assert bench.sources() == ["1300"]
