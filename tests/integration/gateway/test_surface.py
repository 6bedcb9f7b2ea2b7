"""What the gateway tells about itself: endpoints, probes, OpenAPI."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.gateway.conftest import Running

from predictq.brokers import Subscription
from predictq.brokers.port import Health
from predictq_gateway.broker_view import BrokerView


def test_endpoints_are_listed_with_their_visible_deployments(running: Running) -> None:
    found = running.client.get("/v1/endpoints").json()["endpoints"]

    assert [endpoint["name"] for endpoint in found] == ["tumours", "free", "orphan"]
    assert [each["name"] for each in found[0]["deployments"]] == ["linear", "forest"]


def test_an_endpoint_shows_schema_limits_and_state(running: Running) -> None:
    running.submit()
    shown = running.client.get("/v1/endpoints/tumours").json()

    assert shown["schema"]["required"] == ["mean radius", "mean texture"]
    assert shown["limits"] == {"max_instances": 5, "max_body_bytes": 100_000}
    linear = shown["deployments"][0]
    assert linear["state"] == "no-workers"
    assert linear["lag"]["ready"] == 1
    assert linear["lag"]["oldest_age_seconds"] >= 0


def test_a_deployment_with_a_live_member_is_serving(running: Running) -> None:
    names = running.names
    subscription = Subscription(
        topics=(names.requests("tumours"),), group=names.workers("tumours", "linear"), member="worker-1"
    )
    consumer = running.broker.consumer(subscription)
    consumer.poll(1, 1 << 20, 0.0)
    states = {d["name"]: d["state"] for d in running.client.get("/v1/endpoints/tumours").json()["deployments"]}
    consumer.close()

    assert states == {"linear": "serving", "forest": "no-workers"}


def test_probes(running: Running) -> None:
    assert running.client.get("/healthz").json() == {"status": "ok"}
    assert running.client.get("/readyz").json() == {"status": "ok"}


def test_a_broker_that_is_not_ready_is_503_without_its_inside(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inside = "/srv/ours/broker.db: cannot be opened"
    running = run()

    async def health(_: BrokerView) -> Health:
        return Health(False, inside)

    monkeypatch.setattr(BrokerView, "health", health)
    answer = running.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["detail"] == "the broker is not ready; the log says why"
    assert inside in caplog.text


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_that_loads_something_from_elsewhere_is_served(running: Running, path: str) -> None:
    assert running.client.get(path).status_code == 404


def test_openapi_describes_bodies_and_problems(running: Running) -> None:
    document = running.client.get("/openapi.json").json()

    submit = document["paths"]["/v1/endpoints/{endpoint}/predictions"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["required"] == ["instances"]
    assert set(submit["responses"]) >= {"200", "202", "400", "404", "413", "415", "422", "503", "default"}
    assert {parameter["name"] for parameter in submit["parameters"]} == {"endpoint", "Prefer", "Idempotency-Key"}
    assert "HTTPValidationError" not in json.dumps(document)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for step in reference.split("/"):
            found = found[step]
    tagged = {
        path for path, operations in document["paths"].items() if operations.get("get", {}).get("tags") == ["operation"]
    }
    assert tagged == {
        "/v1/status",
        "/v1/deployments",
        "/v1/endpoints/{endpoint}/activity",
        "/v1/predictions",
        "/v1/predictions/{request_id}/way",
        "/v1/dead-letters",
        "/v1/dead-letters/{letter_id}",
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    assert list(response["content"]) == ["application/problem+json"]
