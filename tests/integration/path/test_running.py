"""Starting, dying and stopping: what an operator sees of `predictq up` and of single processes."""

import signal
import time

import httpx
import psutil
import pytest
from tests.conftest import Installation, eventually
from tests.integration.path.conftest import ROWS
from tests.servers.ports import free_port

SUM = """
class Sum:
    def predict(self, batch):
        return [sum(row) for row in batch]
"""
ONE = """
[retention]
topics_seconds = 3600
[worker]
claim_seconds = 1.0
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "{}"
"""
PATH = "/v1/endpoints/sums/predictions"


def accepts(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("model", "content", "said"),
    [
        ("gone.joblib", None, "no such file"),
        ("corrupt.joblib", b"\x80\x04 this is no pickle", "cannot be read"),
        ("other.joblib", b"\x80\x04K\x07.", "predict"),
        ("nowhere.module:Class", None, "cannot be imported"),
    ],
)
def test_a_worker_whose_model_cannot_be_had_says_why_in_one_line(
    installation: Installation, model: str, content: bytes | None, said: str
) -> None:
    installation.configure(ONE.format(model), SUM)
    if content is not None:
        (installation.folder / model).write_bytes(content)

    worker = installation.start("worker", "sum")

    assert worker.wait() == 2
    assert not worker.ready()
    lines = worker.log.strip().splitlines()
    assert len(lines) == 1, worker.log
    assert said in lines[0]
    assert model.partition(":")[0] in lines[0]


def test_up_ends_with_the_mistake_of_one_of_its_workers(installation: Installation) -> None:
    installation.configure(ONE.format("corrupt.joblib"))
    (installation.folder / "corrupt.joblib").write_bytes(b"")

    up = installation.start("up", "--json")

    assert up.wait() == 2
    assert not up.ready()
    assert "corrupt.joblib: cannot be read" in up.log


def test_up_restarts_what_dies_and_leaves_nothing_when_it_stops(installation: Installation) -> None:
    installation.configure(ONE.format("models:Sum"), SUM)
    [up] = installation.started(("up", "--json"))
    with installation.client() as http:
        for victim in up.family()[1:]:
            victim.send_signal(signal.SIGKILL)
            psutil.wait_procs([victim], timeout=30)
        eventually(lambda: len(up.family()) == 5, lambda: up.log)
        eventually(lambda: accepts(http), lambda: up.log)
        body = http.post(PATH, json={"instances": ROWS}, headers={"prefer": "wait=50"}).json()
    assert body["predictions"][0]["outputs"] == [sum(row) for row in ROWS]
    family = up.family()

    assert up.stop() == 0, up.log
    assert alive(family) == []
    assert installation.unsettled() == 0
    assert "Traceback" not in up.log


def test_what_was_accepted_before_a_stop_is_answered_after_the_next_start(installation: Installation) -> None:
    installation.configure(ONE.format("models:Sum"), SUM)
    installation.run("topics", "ensure")
    lines = "".join(f"[{number}, 1]\n" for number in range(1000))
    ids = installation.run("submit", "sums", "-", "--format", "jsonl", stdin=lines).split()

    [up] = installation.started(("up", "--json"))
    assert up.stop() == 0, up.log
    [up] = installation.started(("up", "--json"))
    eventually(lambda: installation.unsettled() == 0, lambda: up.log)
    assert up.stop() == 0, up.log

    rows = installation.rows("SELECT request_id, outputs FROM predictions")
    assert {row["request_id"]: row["outputs"] for row in rows} == {one: f"[{n + 1}]" for n, one in enumerate(ids)}
    assert len(rows) == len(ids)


def test_a_request_is_readable_on_every_replica_with_no_sync_process_running(installation: Installation) -> None:
    installation.configure(ONE.format("models:Sum"), SUM)
    installation.run("db", "upgrade")
    other = free_port()
    installation.started(("gateway",), ("gateway", "--port", str(other)))
    with installation.client() as here, installation.client(other) as there:
        ids: list[str] = []
        for number in range(20):
            key = {"idempotency-key": f'"{number}"'} if number < 2 else {}
            ids.append(here.post(PATH, json={"instances": [[number]]}, headers=key).json()["id"])
            started = time.monotonic()
            answers = [gateway.get(f"/v1/predictions/{ids[-1]}") for gateway in (there, here)]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert [answer.json()["status"] for answer in answers] == ["queued", "queued"]
            assert time.monotonic() - started < 30

        installation.started(("sync",), ("worker", "sum"))
        bodies = [there.get(f"/v1/predictions/{one}", params={"wait": 50}).json() for one in ids]
        same = [here.get(f"/v1/predictions/{one}").json() for one in ids]
    assert [body["predictions"][0]["outputs"] for body in bodies] == [[number] for number in range(20)]
    assert bodies == same


def test_a_request_is_never_called_unknown_for_want_of_a_database(installation: Installation) -> None:
    installation.configure(ONE.format("models:Sum"), SUM)
    installation.started(("gateway",))
    with installation.client() as http:
        accepted = http.post(PATH, json={"instances": [[1]]})
        answer = http.get(accepted.headers["location"])

    assert accepted.status_code == 202
    assert answer.status_code == 503
    assert answer.headers["retry-after"].isdigit()
