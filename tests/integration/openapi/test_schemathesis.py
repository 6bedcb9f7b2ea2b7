"""Every route keeps the promises of the OpenAPI document, whatever it is sent: checked by schemathesis.

A gateway, a sync service and a worker run beside it, so that what is accepted is also answered. The seed is fixed and
the number of examples bounded: a run is the same each time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.conftest import Installation

from predictq_producers import Client

HERE = Path(__file__).parent
ANSWER_SECONDS = 30.0
LINE = 1000
"""Characters of a line of its report that are shown: bodies may be long."""
SETTINGS = """
[gateway]
max_wait_seconds = 0.2
[push]
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
signing_key = "whsk_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
allow_http = true
schedule_seconds = [0.0]
hosts = ["nowhere.invalid"]
[endpoints.anything]
[deployments.echo]
endpoint = "anything"
model = "models:Echo"
"""
MODELS = """
class Echo:
    def predict(self, batch):
        return list(batch)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("openapi"))
    installation.configure(SETTINGS, MODELS)
    try:
        installation.started(("up", "--json"))
        yield installation
    finally:
        installation.clear()


@pytest.fixture(scope="module")
def known(site: Installation) -> dict[str, str]:
    """Something that exists for each parameter of a path."""
    (site.folder / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    with Client(site.url) as client, httpx.Client(base_url=site.url) as http:
        callback = "http://nowhere.invalid/hook"
        result = client.predict("anything", [{"a": 1, "b": 2}], callback=callback, wait=ANSWER_SECONDS)
        job = client.submit_file("anything", site.folder / "rows.csv", callback=callback).wait(ANSWER_SECONDS)
        webhook = http.post("/v1/webhooks", json={"url": callback, "events": ["job.failed"]}).json()
        (delivery,) = http.get("/v1/deliveries", params={"subject": result.id}).json()["deliveries"]
    return {
        "endpoint": "anything",
        "request_id": result.id,
        "job_id": job.id,
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
    }


def test_every_route_keeps_its_promises(site: Installation, known: dict[str, str], tmp_path: Path) -> None:
    document = httpx.get(f"{site.url}/openapi.json").json()
    for operations in document["paths"].values():
        for operation in operations.values():
            # It is for what stands between us and a client; our own statuses are listed one by one.
            del operation["responses"]["default"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")]
    done = subprocess.run(
        [*command, "run", "openapi.json", "--url", site.url, "--no-color"],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "KNOWN": json.dumps(known)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, "\n".join(line[:LINE] for line in (done.stdout + done.stderr).splitlines())
