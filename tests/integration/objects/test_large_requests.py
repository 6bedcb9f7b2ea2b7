"""A large request whose instances wait in a bucket, through real processes."""

import json

from tests.conftest import Installation
from tests.integration.objects.conftest import Store

SETTINGS = """
[gateway]
poll_seconds = 0.2
[jobs]
storage = "s3://{bucket}/predictq"
[jobs.storage_options]
endpoint_url = "{url}"
key = "testing"
secret = "testing"
[claim_check]
above_bytes = 100_000
[endpoints.sums]
[deployments.adder]
endpoint = "sums"
model = "models:Sum"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row) for row in batch]
"""
ROWS = [[n + 0.5] * 1000 for n in range(400)]


def test_instances_in_a_bucket_are_predicted_and_deleted_with_their_request(
    installation: Installation, store: Store
) -> None:
    installation.configure(SETTINGS.format(bucket=store.bucket, url=store.url), MODELS)
    [up] = installation.started(("up", "--json"))
    with installation.client() as http:
        bodies = [
            http.post("/v1/endpoints/sums/predictions", json={"instances": rows}, headers={"prefer": "wait=50"}).json()
            for rows in (ROWS, ROWS[:200], [[1, 2]])
        ]
    assert [body["predictions"][0]["outputs"] for body in bodies] == [
        [sum(row) for row in ROWS],
        [sum(row) for row in ROWS[:200]],
        [3],
    ]
    kept = store.listed()
    assert len(kept) == 2
    assert all(key.startswith("predictq/requests/20") for key in kept)
    assert {key.rpartition("/")[2][:36] for key in kept} == {body["id"] for body in bodies[:2]}
    assert up.stop() == 0

    store.put("predictq/requests/2020-01-01T00/old.json", b"[[1]]")
    assert json.loads(installation.run("db", "prune", "--json"))["payloads"] == 1
    assert store.listed() == kept
