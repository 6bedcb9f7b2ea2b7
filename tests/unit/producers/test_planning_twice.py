"""A job that is accepted twice is planned once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from predictq.brokers import NO_HEADERS, Broker, Done, Message, Record, Subscription, open_broker
from predictq.messages import CHUNK, JOB, JobData
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, JobSettings, Settings
from predictq.storage import Storage
from predictq.topology import topology_of
from predictq_producers.jobs.planning import Planner
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.requests import request_makers

JOB_ID = "0195f2d0-0000-7000-8000-000000000001"


class Bench:
    """A planner that may be started anew, its broker, and the chunks that it announces."""

    def __init__(self, broker: Broker, settings: Settings, folder: Path) -> None:
        self._broker = broker
        self._makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
        self._settings = settings.jobs
        self._storage = Storage(f"file://{folder}/storage", {})
        self._consumer = broker.consumer(
            Subscription(topics=("predictq.sums.jobs",), member="test", group="predictq.cutter")
        )
        self.file = folder / "rows.csv"

    def accept(self, redeliveries: int = 0) -> JobData:
        """A new planner hears of the job; what it says of it."""
        planner = Planner(
            names=Names(),
            makers=self._makers,
            settings=self._settings,
            storage=self._storage,
            open_producer=self._broker.producer,
        )
        message = JobMaker(Names(), self._makers, self._settings, trusted=True).of_source(
            "sums", JOB_ID, self.file.as_uri(), {}
        )
        record = Record(message.topic, 0, "0", message.value, message.key, NO_HEADERS, 0.0, redeliveries)
        [verdict] = planner.handle([record]).verdicts
        assert isinstance(verdict, Done)
        [said] = verdict.outputs
        return JOB.decode(said.value)["data"]

    def chunks(self) -> list[int]:
        """Numbers of those that were announced since it was asked last."""
        batch = self._consumer.poll(1000, 1 << 20, 0.0)
        self._consumer.settle(batch, [Done()] * len(batch))
        return sorted(CHUNK.decode(record.value)["data"]["number"] for record in batch)

    def bury(self, data: Any) -> None:
        message: Message = JobMaker(Names(), self._makers, self._settings, trusted=True).of_source(
            "sums", JOB_ID, self.file.as_uri(), {}
        )
        planner = Planner(
            names=Names(),
            makers=self._makers,
            settings=self._settings,
            storage=self._storage,
            open_producer=self._broker.producer,
        )
        planner.buried(Record(message.topic, 0, "0", message.value, message.key, NO_HEADERS, 0.0, 3), data)

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = Settings(
        broker=f"memory://{uuid4().hex}",
        endpoints={"sums": EndpointSettings(partitions=1)},
        deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
        jobs=JobSettings(chunk_rows=2),
    )
    with closing(open_broker(settings.broker_url())) as broker:
        with closing(broker.admin()) as admin:
            admin.ensure(topology_of(settings))
        bench = Bench(broker, settings, tmp_path)
        yield bench
        bench.close()


def test_what_was_planned_is_said_again_and_no_chunk_is_announced_again(bench: Bench) -> None:
    bench.file.write_text("a,b\n1,2\n3,4\n5,6\n")
    first = bench.accept()
    assert bench.chunks() == [0, 1]
    bench.file.write_text("a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n")

    assert bench.accept() == first
    bench.file.unlink()
    assert bench.accept(redeliveries=1) == first

    assert (first["state"], first["rows"], first["chunks"]) == ("planned", 3, 2)
    assert bench.chunks() == []


def test_what_failed_stays_failed_when_its_file_is_there_after_all(bench: Bench) -> None:
    first = bench.accept()
    bench.file.write_text("a,b\n1,2\n")

    assert bench.accept() == first

    assert (first["state"], first["reason"]) == ("failed", "the file is not there; it was deleted or never written")
    assert bench.chunks() == []


def test_what_ended_the_planner_is_not_tried_again(bench: Bench) -> None:
    bench.file.write_text("a,b\n1,2\n")
    bench.bury("it ended the process")

    assert bench.accept()["reason"] == "the file cannot be read: it ended the process"
    assert bench.chunks() == []
