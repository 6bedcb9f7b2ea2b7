"""From an object in a bucket to the results of its rows; uploads and chunks are in the same store."""

import json
from typing import Any

from tests.conftest import Installation, eventually
from tests.integration.objects.conftest import Store

from predictq.brokers import Message

SETTINGS = """
[gateway]
poll_seconds = 0.2
[jobs]
storage = "s3://{bucket}/predictq"
chunk_rows = 40
[jobs.storage_options]
endpoint_url = "{url}"
key = "testing"
secret = "testing"
[endpoints.sums]
[deployments.adder]
endpoint = "sums"
model = "models:Sum"
[rules.rows]
bucket = "{bucket}"
prefix = "in/"
suffix = ".csv"
endpoint = "sums"
[rules.rows.options]
id_column = "id"
"""

MODELS = """
class Sum:
    def predict(self, batch):
        return [row["a"] + row["b"] for row in batch]
"""
KEY = "in/my *rows?+ä.csv"
ENCODED = "in/my+*rows%3F%2B%C3%A4.csv"


def notification(key: str, etag: str) -> dict[str, Any]:
    found = {"bucket": {"name": "incoming"}, "object": {"key": key, "eTag": etag}}
    record = {"eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put", "s3": found}
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"incoming/{key}", "Records": [record]}


def csv(rows: int, factor: int) -> bytes:
    return ("id,a,b\n" + "".join(f"row-{n},{n},{n * factor}\n" for n in range(rows))).encode()


def test_objects_become_jobs_by_http_and_by_the_broker(installation: Installation, store: Store) -> None:
    installation.configure(SETTINGS.format(bucket=store.bucket, url=store.url), MODELS)
    store.put(KEY, csv(100, 2))
    first = store.etag(KEY)
    [up] = installation.started(("up", "--json"))
    with installation.client() as http:

        def finished(job_id: str) -> dict[str, Any]:
            def over() -> bool:
                return http.get(f"/v1/jobs/{job_id}").json().get("status") in {"completed", "failed"}

            eventually(over, installation.logs)
            body: dict[str, Any] = http.get(f"/v1/jobs/{job_id}").json()
            return body

        answer = http.post("/v1/events", json=notification(ENCODED, first))
        assert answer.status_code == 202, answer.text
        [job] = answer.json()["jobs"]
        again = http.post("/v1/events", json=notification(ENCODED, first))
        assert again.json()["jobs"][0]["id"] == job["id"]
        body = finished(job["id"])
        assert body["status"] == "completed"
        assert body["metadata"] == {"rule": "rows", "bucket": store.bucket, "key": KEY}
        lines = http.get(f"/v1/jobs/{job['id']}/results", params={"format": "jsonl"}).text.splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row["carried"]["id"] for row in rows] == [f"row-{n}" for n in range(100)]
        assert [row["outputs"]["adder"] for row in rows] == [3 * n for n in range(100)]
        assert any(key.startswith(f"predictq/jobs/{job['id']}/chunks/") for key in store.listed())

        # The same object with other content, told to the intake by a client of another language.
        store.put(KEY, csv(10, 1))
        said = json.dumps(notification(ENCODED, store.etag(KEY))).encode()
        installation.publish(Message(installation.names.intake("sums"), said))
        eventually(lambda: len(http.get("/v1/jobs").json()["jobs"]) == 2, installation.logs)
        [second] = [each["id"] for each in http.get("/v1/jobs").json()["jobs"] if each["id"] != job["id"]]
        assert finished(second)["counts"]["succeeded"] == 10

        # An upload goes to the store, and one that was deleted before it is read says so.
        uploaded = http.post("/v1/endpoints/sums/jobs", files={"file": ("rows.csv", csv(5, 1))})
        assert uploaded.status_code == 202, uploaded.text
        assert finished(uploaded.json()["id"])["status"] == "completed"
        # So does what was told too late: the second job has read what is there now.
        late = http.post("/v1/events", json=notification(ENCODED, "1f3870be274f6c49b3e31a0c6728957f")).json()["jobs"][0]
        assert "overwritten before it was read" in finished(late["id"])["reason"]
        gone = http.post("/v1/events", json=notification("in/gone.csv", first)).json()["jobs"][0]["id"]
        failed = finished(gone)
        assert failed["status"] == "failed"
        assert failed["reason"] == "the file is not there; it was deleted or never written"
    assert up.stop() == 0
