"""Load on an installation, and the count of what was lost and what was doubled."""

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic_core import from_json
from tests.beside import running
from tests.conftest import Installation, eventually
from tests.places import ServerBroker, place_on

from predictq.brokers import Message
from predictq.errors import Unavailable
from predictq.ids import new_id
from predictq.messages import COMMIT, PREDICTION, PREDICTION_TYPE, REQUEST, new_request

DEPLOYMENT = "sum"
ENDPOINT = "sums"
PATH = f"/v1/endpoints/{ENDPOINT}/predictions"
SETTINGS = """
[gateway]
poll_seconds = 0.2
[worker]
claim_seconds = 1.0
[sync]
claim_seconds = 1.0
max_batch_size = 50
[retention]
topics_seconds = 864000
[log]
level = "info"
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
max_batch_size = 50
"""
MODELS = """
import time

class Sum:
    def predict(self, batch):
        time.sleep(0.005)
        return [sum(row) for row in batch]
"""


class Load:
    """Clients that submit for as long as they are let, and remember what was sent and what was accepted."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.sent: set[int] = set()
        self.accepted: dict[str, int] = {}
        """Number of the request, by the id under which it was accepted."""
        self.refusals: Counter[int] = Counter()
        """Answers that were no 202, by status; 0 where there was none."""
        self.problems: list[httpx.Response] = []
        self.bugs: list[BaseException] = []

    @contextmanager
    def running(self, *, clients: int = 3, publishers: int = 1, pause_seconds: float = 0.03) -> Iterator[None]:
        """Within the block requests arrive, by HTTP and straight from a producer."""
        targets: list[Callable[[], None]] = [self._submit] * clients + [self._publish] * publishers
        self._pause_seconds = pause_seconds
        self._stopping.clear()
        with running(*(partial(self._guarded, target) for target in targets), stop=self._stopping.set):
            yield

    def until_accepted(self, more: int) -> None:
        """Return when so many more requests have been accepted."""
        enough = len(self.accepted) + more
        eventually(lambda: len(self.accepted) >= enough or self.bugs, self._installation.logs)

    def _number(self) -> int:
        with self._lock:
            number = len(self.sent)
            self.sent.add(number)
        return number

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            self.bugs.append(error)
            raise

    def submit(self, http: httpx.Client, *, wait_seconds: float | None = None) -> httpx.Response:
        """One request, sent once: what is not answered by 202 or 200 may or may not have been taken."""
        number = self._number()
        body = {"instances": [[number, 1]], "metadata": {"n": str(number)}}
        headers = {} if wait_seconds is None else {"prefer": f"wait={wait_seconds:g}"}
        answer = http.post(PATH, json=body, headers=headers)
        if answer.status_code in {200, 202}:
            self.accepted[answer.json()["id"]] = number
        else:
            self.refusals[answer.status_code] += 1
            self.problems.append(answer)
        return answer

    def _submit(self) -> None:
        with self._installation.client() as http:
            while not self._stopping.wait(self._pause_seconds):
                try:
                    self.submit(http)
                except httpx.TransportError:
                    self.refusals[0] += 1

    def _publish(self) -> None:
        """Twenty requests a call, as a producer without a gateway."""
        topic = self._installation.names.requests(ENDPOINT)
        with (
            self._installation.broker() as broker,
            closing(broker.producer()) as producer,
        ):
            while not self._stopping.wait(self._pause_seconds * 5):
                batch = {new_id(): self._number() for _ in range(20)}
                messages = [Message(topic, _request(request_id, number)) for request_id, number in batch.items()]
                try:
                    producer.publish(messages)
                except Unavailable:
                    self.refusals[0] += 1
                else:
                    self.accepted |= batch


def _request(request_id: str, number: int) -> bytes:
    event = new_request(
        request_id=request_id,
        endpoint=ENDPOINT,
        instances=[[number, 1]],
        deployments=[DEPLOYMENT],
        now=time.time(),
        metadata={"n": str(number)},
    )
    return REQUEST.encode(event)


class Count:
    """What became of a load, once everything is settled: read from the database and from the broker's own file."""

    def __init__(self, installation: Installation, load: Load) -> None:
        eventually(lambda: installation.unsettled() == 0, installation.logs)
        names = installation.names
        self.load = load
        with installation.broker() as broker:
            self._guarantees = broker.guarantees
        self._on_logs = self._guarantees.replays
        if not self._guarantees.exact_lag:
            # What is in hand cannot be seen from outside, but what it owes can.
            eventually(
                lambda: not installation.rows("SELECT 1 FROM requests WHERE status = 'queued'"), installation.logs
            )
        self.requests = installation.rows("SELECT id, status, metadata ->> 'n' AS n FROM requests")
        self.rows = installation.rows("SELECT request_id, deployment, outputs FROM predictions")
        self.dead_letters = installation.rows("SELECT * FROM dead_letters")
        predicted = [
            PREDICTION.decode(record.value)["data"]
            for record in installation.messages(names.predictions(ENDPOINT))
            if from_json(record.value)["type"] == PREDICTION_TYPE
        ]
        self.predictions = Counter((data["request_id"], data["deployment"]) for data in predicted)
        self.announced = Counter(
            request_id
            for record in installation.messages(names.commits)
            for request_id in COMMIT.decode(record.value)["data"]["ids"]
        )
        self.copies = installation.messages(names.retries(ENDPOINT, DEPLOYMENT)) if self._on_logs else []

    def check(self) -> None:
        """Nothing is lost, nothing doubled, no attempt spent, nothing dead-lettered."""
        stored = {row["id"]: int(row["n"]) for row in self.requests}
        assert self.load.accepted.items() <= stored.items(), "accepted is a part of stored"
        assert set(stored.values()) <= self.load.sent, "stored is a part of sent"
        assert len(set(stored.values())) == len(stored), "each was sent once"
        assert {row["status"] for row in self.requests} == {"succeeded"}
        expected = {(request_id, DEPLOYMENT) for request_id in stored}
        assert set(self.predictions) == expected
        if self._guarantees.atomic_settle:
            assert self.predictions == Counter(expected), "one prediction each on the topic"
        rows = {(row["request_id"], row["deployment"]): row["outputs"] for row in self.rows}
        assert len(rows) == len(self.rows)
        assert rows == {(request_id, DEPLOYMENT): f"[{number + 1}]" for request_id, number in stored.items()}
        assert [copy for copy in self.copies if copy.attempt > 1] == [], "no attempt was spent"
        assert self.dead_letters == []

    def check_announced(self) -> None:
        """Each was announced: a process that ends between its commit and its announcement leaves that to its heir, who
        cannot know whether somebody else has told of it, and tells it again."""
        assert self.announced.keys() == {row["id"] for row in self.requests}

    def check_announced_once(self) -> None:
        """Where no sync process was ended or frozen, each was announced once."""
        assert self.announced == Counter(row["id"] for row in self.requests)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 32 MB at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "predictq", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No space is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


def configure(installation: Installation, settings: str = SETTINGS, models: str = MODELS) -> None:
    """Settings, database and topics are there, no process runs."""
    installation.configure(settings, models)
    installation.run("db", "upgrade")
    installation.run("topics", "ensure")
    names = installation.names
    audited = [names.predictions(ENDPOINT), names.commits]
    with installation.broker() as broker:
        if broker.guarantees.replays:
            # Where every group has a queue of its own, a retry goes to its group's queue alone.
            audited.append(names.retries(ENDPOINT, DEPLOYMENT))
    installation.audit(*audited)


@pytest.fixture
def configured(installation: Installation) -> Installation:
    """One deployment that adds."""
    configure(installation)
    return installation


@contextmanager
def installed_on(broker: ServerBroker, folder: Path, settings: str = SETTINGS) -> Iterator[Installation]:
    """One deployment that adds, on a broker's server and PostgreSQL; what it started is gone afterwards."""
    with place_on(broker) as place:
        installation = Installation(folder, place)
        try:
            configure(installation, settings)
            yield installation
        finally:
            installation.clear()
