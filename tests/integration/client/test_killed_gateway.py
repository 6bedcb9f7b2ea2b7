"""The gateway is killed while the client is at work, and `predictq up` starts another one."""

import io
from collections.abc import Callable, Iterator

import psutil
from tests.conftest import Installation, eventually

from predictq_producers import Client

SUBMITTED = 400


def test_many_submits_over_a_kill_are_each_predicted_once(
    client: Client, site: Installation, gateway: Callable[[], psutil.Process]
) -> None:
    def instances() -> Iterator[dict[str, float]]:
        for number in range(SUBMITTED):
            if number == SUBMITTED // 2:
                gateway().kill()
            yield {"a": number, "b": 0.5}

    requests = client.submit_many(
        "sums", instances(), instances_per_request=1, metadata={"run": "killed"}, idempotency_key="killed"
    )

    outputs = [request.result(wait=100).outputs for request in requests]
    assert outputs == [[number + 0.5] for number in range(SUBMITTED)]
    ids = {request.id for request in requests}
    stored = site.rows("SELECT id FROM requests WHERE metadata LIKE '%killed%'")
    assert sorted(row["id"] for row in stored) == sorted(ids)
    assert len(ids) == SUBMITTED


def test_a_job_is_waited_for_over_a_kill(client: Client, gateway: Callable[[], psutil.Process]) -> None:
    rows = b"".join(b"%d,0.5\n" % number for number in range(2000))
    job = client.submit_file("sums", io.BytesIO(b"a,b\n" + rows))
    eventually(lambda: job.refresh().status != "queued")
    gateway().kill()
    assert job.wait(100).counts["succeeded"] == 2000
