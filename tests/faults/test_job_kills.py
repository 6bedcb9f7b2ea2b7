"""SIGKILL in the midst of jobs: every row comes back exactly once, whichever process is killed when."""

import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_core import from_json
from tests.beside import running
from tests.conftest import Installation, eventually
from tests.faults.conftest import ENDPOINT, MODELS, SETTINGS, configure, installed_on
from tests.faults.test_kills import Crew, dice
from tests.places import SERVER_BROKERS, ServerBroker

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

KILLS = 20
KILLS_ON_A_SERVER = 6
ROWS = 1500
AT_ONCE = 5
"""Jobs under way."""
JOBS = """
[jobs]
chunk_rows = 100
request_rows = 10
max_waiting_requests = 30
"""
SIDE_BY_SIDE = {"ingest": 2, "gateway": 1, "worker": 1, "sync": 1}


class Uploads:
    """A client that uploads one job after the other, each until it is accepted; some of them are always under way."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._stopping = threading.Event()
        self.accepted: dict[str, int] = {}
        """The number that a job's rows begin with, by the job's id."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block there are always some jobs under way."""
        with running(self._upload, stop=self._stopping.set):
            yield

    def _upload(self) -> None:
        with self._installation.client() as http:
            for number in itertools.count():
                while not self._stopping.wait(0.3):
                    # However slow the machine is, what is left to do at the end is the same.
                    if self._has_room(http) and (job_id := self._try(http, number * ROWS)):
                        self.accepted[job_id] = number * ROWS
                        break
                else:
                    return

    def _has_room(self, http: httpx.Client) -> bool:
        ids = list(self.accepted)
        if len(ids) < AT_ONCE:
            return True
        try:
            return http.get(f"/v1/jobs/{ids[-AT_ONCE]}").json().get("completed_at") is not None
        except httpx.TransportError:
            return False

    def _try(self, http: httpx.Client, first: int) -> str | None:
        data = b"".join(b"%d,1\n" % (first + at) for at in range(ROWS))
        try:
            answer = http.post(
                f"/v1/endpoints/{ENDPOINT}/jobs?header=false",
                files={"file": ("rows.csv", data)},
                headers={"idempotency-key": f"job-{first}"},
            )
        except httpx.TransportError:
            return None
        if answer.status_code != 202:
            return None
        job_id: str = answer.json()["id"]
        return job_id


def check(installation: Installation, accepted: dict[str, int]) -> None:
    """Each job is completed, and each of its rows has its own answer."""
    with installation.client() as http:

        def completed(job_id: str) -> bool:
            body = http.get(f"/v1/jobs/{job_id}").json()
            assert body["status"] in {"queued", "running", "completed"}, body
            return bool(body["status"] == "completed")

        for job_id, first in accepted.items():
            eventually(partial(completed, job_id), installation.logs)
            lines = http.get(f"/v1/jobs/{job_id}/results?format=jsonl").text.splitlines()
            rows: list[dict[str, Any]] = [from_json(line) for line in lines]
            assert [row["row"] for row in rows] == list(range(1, ROWS + 1))
            assert [row["outputs"] for row in rows] == [{"sum": first + at + 1} for at in range(ROWS)]
            counts = http.get(f"/v1/jobs/{job_id}").json()["counts"]
            assert (counts["total"], counts["succeeded"]) == (ROWS, ROWS)
    held = installation.rows("SELECT job_id, sum(rows) AS rows, count(*) AS n FROM job_requests GROUP BY job_id")
    # Beside them there may be the last one, whose client was told nothing before it stopped.
    rows_held = {row["job_id"]: int(row["rows"]) for row in held if row["job_id"] in accepted}
    assert rows_held == dict.fromkeys(accepted, ROWS)
    assert installation.rows("SELECT * FROM dead_letters") == []


def kill_ingest(crew: Crew, installation: Installation, random_: random.Random) -> None:
    """Kill one, and return when something more was planned.

    A file that ends whoever is at it five times in a row is given up: so no two kills hit the same part of a plan.
    """
    planned = _chunks(installation)
    crew.kill_one("ingest", random_)
    eventually(lambda: _chunks(installation) > planned, installation.logs)


def _chunks(installation: Installation) -> int:
    [row] = installation.rows("SELECT count(*) AS planned FROM chunks")
    return int(row["planned"])


def test_forty_kills_of_cutter_and_gateway_lose_and_double_no_row(installation: Installation) -> None:
    random_ = dice()
    configure(installation, SETTINGS + JOBS, MODELS)
    order = [kind for kind in ("ingest", "gateway") for _ in range(KILLS)]
    random_.shuffle(order)
    crew = Crew(installation, SIDE_BY_SIDE)
    uploads = Uploads(installation)

    with uploads.running():
        eventually(lambda: uploads.accepted, installation.logs)
        for kind in order:
            threading.Event().wait(random_.random() * 0.5)
            if kind == "ingest":
                kill_ingest(crew, installation, random_)
            else:
                crew.kill_one(kind, random_)
    crew.until_ready()

    check(installation, uploads.accepted)
    print(f"{len(uploads.accepted)} jobs of {ROWS} rows")


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_kills_of_the_cutter_on_a_server_lose_and_double_no_row(broker: ServerBroker, tmp_path: Path) -> None:
    random_ = dice()
    with installed_on(broker, tmp_path, SETTINGS + JOBS) as installation:
        crew = Crew(installation, SIDE_BY_SIDE)
        uploads = Uploads(installation)
        with uploads.running():
            eventually(lambda: uploads.accepted, installation.logs)
            for _ in range(KILLS_ON_A_SERVER):
                threading.Event().wait(random_.random())
                kill_ingest(crew, installation, random_)
        crew.until_ready()
        check(installation, uploads.accepted)
        print(f"{len(uploads.accepted)} jobs of {ROWS} rows")
