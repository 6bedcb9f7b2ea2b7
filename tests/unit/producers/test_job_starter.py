"""Starting a job of a file: on a copy that is whole, or not at all."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from predictq.brokers import Broker, Done, Subscription, open_broker
from predictq.messages import JOB
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, Settings
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.jobs.faults import BadFile, FileChanging
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers

JOB_ID = "0195f2d0-0000-7000-8000-000000000001"
SETTINGS = Settings(
    endpoints={"sums": EndpointSettings(partitions=1)},
    deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with closing(open_broker(f"memory://{uuid4().hex}")) as broker:
        with closing(broker.admin()) as admin:
            admin.ensure(topology_of(SETTINGS))
        yield broker


@pytest.fixture
def starter(broker: Broker, tmp_path: Path) -> Iterator[JobStarter]:
    maker = JobMaker(Names(), request_makers(SETTINGS, max_message_bytes=1 << 20), SETTINGS.jobs)
    with closing(JobStarter(maker, Storage(f"file://{tmp_path}/storage", {}), broker.producer)) as starter:
        yield starter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n")
    return file


def accepted(broker: Broker) -> list[str]:
    subscription = Subscription(topics=("predictq.sums.jobs",), member="test", group="predictq.planner")
    with closing(broker.consumer(subscription)) as consumer:
        batch = consumer.poll(10, 1 << 20, 0.0)
        consumer.settle(batch, [Done()] * len(batch))
    return [JOB.decode(record.value)["data"]["source"]["url"] for record in batch]


def test_a_file_that_cannot_be_read_on_is_no_fault_of_the_storage(starter: JobStarter, broker: Broker) -> None:
    with pytest.raises(BadFile, match=r"cannot be read on: Input/output error"):
        # Of no process is there memory at its first address.
        starter.of_file("sums", JOB_ID, Path("/proc/self/mem"), {})

    assert accepted(broker) == []


def test_a_job_stands_on_a_copy(starter: JobStarter, broker: Broker, file: Path, tmp_path: Path) -> None:
    starter.of_file("sums", JOB_ID, file, {})

    [url] = accepted(broker)
    assert url.startswith(f"file://{tmp_path}/storage/jobs/{JOB_ID}/uploads/")
    assert Path(url.removeprefix("file://")).read_text() == "a\n1\n"


def test_of_a_file_that_is_still_written_to_nothing_is_started_and_no_copy_is_left(
    starter: JobStarter, broker: Broker, file: Path, tmp_path: Path
) -> None:
    before = file.stat().st_size

    def is_whole() -> bool:
        with file.open("a") as stream:  # somebody does so while it is copied
            stream.write("2\n")
        return file.stat().st_size == before

    with pytest.raises(FileChanging):
        starter.of_file("sums", JOB_ID, file, {}, is_whole=is_whole)

    assert accepted(broker) == []
    assert [each for each in (tmp_path / "storage").rglob("*") if each.is_file()] == []


def test_what_would_be_refused_is_refused_before_anything_is_copied(
    starter: JobStarter, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused):
        starter.of_file("sums", JOB_ID, file, {"result": "file:///etc/rows.csv"})

    assert not (tmp_path / "storage").exists()
