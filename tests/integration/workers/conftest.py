"""A worker as its users start it, on an embedded broker of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from predictq.brokers import Consumer, Done, Lag, Message, Subscription, open_broker
from predictq.ids import new_id
from predictq.messages import BATCH_TYPE, CANCEL, PREDICTION, REQUEST, PredictionEvent, new_cancel, new_request
from predictq.names import Names
from predictq.settings import load_settings
from predictq.topology import topology_of

NAMES = Names()
DEADLINE_SECONDS = 80.0

SETTINGS = """
broker = "sqlite:///broker.db"
[worker]
claim_seconds = 1.0
[endpoints.tumours]
partitions = 2
[deployments.mine]
endpoint = "tumours"
model = "own_model:Own"
version = "v1"
max_batch_size = 50
retry_seconds = 0.1
max_attempts = 3
"""

MODEL = """
import os, signal, time
from pathlib import Path
from predictq.errors import Retryable

HERE = Path(__file__).parent

class Own:
    def load(self):
        with (HERE / "loads").open("a") as file:
            file.write(f"{os.getpid()}\\n")

    def predict(self, batch):
        for word in batch:
            self.obey(word[0])
        return [word[0].upper() for word in batch]

    def obey(self, word):
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            time.sleep(600)
        if word == "raise":
            raise ValueError("no such word")
        if word == "away":
            raise Retryable("the store is away")
        if word == "slow":
            (HERE / "predicting").touch()
            while not (HERE / "go-on").exists():
                time.sleep(0.01)
"""


class Worker:
    """A process of `predictq worker`, and what it says."""

    def __init__(self, arguments: Sequence[str], settings_file: Path, log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "predictq", "--config", str(settings_file), "worker", *arguments],
                env={**os.environ, "PREDICTQ_LOG__LEVEL": "debug"},
                stderr=file,
            )

    def said(self) -> str:
        """Its standard error so far."""
        return self._log.read_text()

    def tell_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Its exit code, awaited."""
        return self.process.wait(timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.tell_to_stop()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        sys.stderr.write(self.said())


class Place:
    """A folder with settings and a model, the broker beside it, and the workers that run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings_file = folder / "predictq.toml"
        self.workers: list[Worker] = []
        self.configure()
        (folder / "own_model.py").write_text(MODEL)

    def configure(self, more: str = "") -> None:
        """Write the settings, `more` in the table of the deployment, and make topics and groups."""
        self.settings_file.write_text(SETTINGS + more)
        settings = load_settings(self.settings_file)
        self.broker = open_broker(settings.broker_url())
        self.admin = self.broker.admin()
        self.admin.ensure(topology_of(settings))
        self.predictions = self._reader(NAMES.predictions("tumours"), NAMES.store_group)

    def submit(self, *requests: Sequence[str], ids: Sequence[str] | None = None) -> list[str]:
        """Publish a request for each list of words; returns their ids."""
        ids = list(ids) if ids else [new_id() for _ in requests]
        producer = self.broker.producer()
        topic = NAMES.requests("tumours")
        producer.publish([Message(topic, _request(id_, words)) for id_, words in zip(ids, requests, strict=True)])
        producer.close()
        return ids

    def cancel(self, *ids: str) -> None:
        producer = self.broker.producer()
        producer.publish([Message(NAMES.cancels, CANCEL.encode(new_cancel(ids, time.time())))])
        producer.close()

    def worker(self, *arguments: str) -> Worker:
        """Start one; of the deployment `mine` where nothing else is said."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        self.workers.append(Worker(arguments or ("mine",), self.settings_file, log))
        return self.workers[-1]

    def answers(self, count: int) -> dict[str, PredictionEvent]:
        """The next `count` predictions by request id; fails when one comes twice."""
        found: dict[str, PredictionEvent] = {}
        for message in self._read(self.predictions, lambda: len(found) < count):
            if BATCH_TYPE.encode() not in message:
                event = PREDICTION.decode(message)
                assert event["data"]["request_id"] not in found
                found[event["data"]["request_id"]] = event
        return found

    def dead_letters(self, count: int) -> list[dict[str, str]]:
        """The headers of the next `count` dead letters."""
        reader = self._reader(NAMES.dead_letters("tumours"), NAMES.dead_letters_group)
        found: list[dict[str, str]] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            batch = reader.poll(100, 1 << 20, 0.0)
            found += [dict(record.headers) for record in batch]
            reader.settle(batch, [Done()] * len(batch))
        reader.close()
        assert len(found) == count
        return found

    def wait_until(self, holds: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")
            time.sleep(0.02)

    def waiting(self) -> int:
        """Requests that no worker has settled, retries included."""
        group = NAMES.workers("tumours", "mine")
        topics = (NAMES.requests("tumours"), NAMES.retries("tumours", "mine"))
        lags: list[Lag] = [self.admin.lag(topic, group) for topic in topics]
        return sum(lag.ready + (lag.in_flight or 0) for lag in lags)

    def loads(self) -> list[int]:
        """Process ids that have loaded the model."""
        file = self.folder / "loads"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.predictions.close()
        self.admin.close()
        self.broker.close()

    def _reader(self, topic: str, group: str) -> Consumer:
        return self.broker.consumer(Subscription(topics=(topic,), group=group, member=new_id()))

    def _read(self, reader: Consumer, wanted: Callable[[], bool]) -> Iterator[bytes]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while wanted():
            if time.monotonic() > deadline:
                logs = "".join(worker.said() for worker in self.workers)
                raise AssertionError(f"not all predictions came within {DEADLINE_SECONDS} s; the workers said:\n{logs}")
            batch = reader.poll(1000, 1 << 20, 0.0)
            for record in batch:
                yield record.value
            reader.settle(batch, [Done()] * len(batch))


def _request(request_id: str, words: Sequence[str]) -> bytes:
    return REQUEST.encode(
        new_request(
            request_id=request_id,
            endpoint="tumours",
            instances=[[word] for word in words],
            deployments=["mine"],
            now=time.time(),
        )
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()
