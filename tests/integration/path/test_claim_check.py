"""Requests that are larger than a message: their instances wait in the storage, and all else is as ever."""

import json
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from tests.conftest import Installation, eventually
from tests.integration.path.conftest import Site
from tests.places import EMBEDDED, SERVER_BROKERS, place_on

from predictq.brokers import Message
from predictq.clock import wire_time
from predictq.ids import new_id
from predictq.messages import REQUEST, RequestEvent, hash_of, new_request, referring_to
from predictq.payloads import Payloads
from predictq.storage import Storage
from predictq_producers import Client
from predictq_producers.client import Rejected
from predictq_producers.deriving import event_id

SETTINGS = """
[gateway]
poll_seconds = 0.2
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[retention]
topics_seconds = 3600
[jobs]
storage = "file://shared/storage"
[claim_check]
above_bytes = 900_000
max_bytes = 5_000_000
[endpoints.sums]
[deployments.adder]
endpoint = "sums"
model = "models:Sum"
[deployments.silent]
endpoint = "sums"
model = "models:Sum"
role = "shadow"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row) for row in batch]
"""
PATH = "/v1/endpoints/sums/predictions"
LARGE = [[n + 0.0625] * 1000 for n in range(500)]  # 4 MB
SUMS = [sum(row) for row in LARGE]
JUST_ABOVE = [[n + 0.0625] * 1000 for n in range(115)]  # below what Kafka takes, above what the settings say


@pytest.fixture(scope="module", params=["embedded", *SERVER_BROKERS])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything of the settings above, running on each broker; of these Kafka takes messages of 1 MB."""
    with nullcontext(EMBEDDED) if request.param == "embedded" else place_on(request.param) as place:
        installation = Installation(tmp_path_factory.mktemp("site"), place)
        installation.configure(SETTINGS, MODELS)
        try:
            [up] = installation.started(("up", "--json"))
            with installation.client() as http:
                yield Site(installation, up, http)
        finally:
            installation.clear()


def storage_of(installation: Installation) -> Storage:
    return Storage(installation.settings.storage_url(), {})


def folder_of(installation: Installation) -> Path:
    return installation.folder / "shared/storage"


def outputs_of(body: dict[str, Any]) -> list[Any]:
    assert body["status"] == "succeeded", body["predictions"]
    [prediction] = body["predictions"]
    outputs: list[Any] = prediction["outputs"]
    return outputs


def test_it_is_answered_by_all_deployments_and_no_message_holds_it(site: Site) -> None:
    requests = site.installation.names.requests("sums")
    site.installation.audit(requests)

    body = site.result("sums", LARGE, metadata={"order": "7"})

    assert outputs_of(body) == SUMS
    assert body["metadata"] == {"order": "7"}
    [event] = [REQUEST.decode(record.value) for record in site.installation.messages(requests)]
    assert len(json.dumps(event)) < 1000
    assert event["dataref"].startswith(f"file://{folder_of(site.installation)}/requests/")
    [row] = site.installation.rows("SELECT instances_hash FROM requests WHERE id = ?", body["id"])
    assert row["instances_hash"] == hash_of(LARGE)
    shadow = "SELECT outputs FROM predictions WHERE request_id = ? AND deployment = 'silent'"
    site.until(lambda: site.installation.rows(shadow, body["id"]))
    assert json.loads(site.installation.rows(shadow, body["id"])[0]["outputs"]) == SUMS


def test_a_key_tells_other_instances_apart_wherever_they_are(site: Site) -> None:
    headers = {"idempotency-key": f'"{uuid.uuid4()}"'}
    first = site.http.post(PATH, json={"instances": LARGE}, headers=headers)
    again = site.http.post(PATH, json={"instances": LARGE}, headers=headers)
    other = site.http.post(PATH, json={"instances": LARGE[1:]}, headers=headers)
    assert [first.status_code, again.status_code, other.status_code] == [202, 202, 422]
    assert first.json()["id"] == again.json()["id"]
    assert outputs_of(site.finished(first.json()["id"])) == SUMS
    assert len(list(folder_of(site.installation).rglob(f"{first.json()['id']}-*.json"))) == 1


def test_by_the_client_beside_the_broker_and_by_http(site: Site) -> None:
    url = site.installation.url
    with Client(url) as client, Client.direct(site.installation.settings, gateway=url) as direct:
        key = str(uuid.uuid4())
        beside = direct.submit("sums", LARGE, idempotency_key=key)
        by_http = client.submit("sums", LARGE, idempotency_key=key)
        many = direct.submit_many("sums", LARGE, instances_per_request=250)
        assert beside.id == by_http.id
        assert outputs_of(site.finished(beside.id)) == SUMS
        assert [value for each in many for value in outputs_of(site.finished(each.id))] == SUMS


def test_by_the_command(site: Site) -> None:
    lines = "".join(f"{json.dumps(row)}\n" for row in LARGE)
    printed = site.installation.run(
        "submit", "sums", "-", "--format", "jsonl", "--instances-per-request", "500", stdin=lines
    )
    [request_id] = printed.split()
    assert outputs_of(site.finished(request_id)) == SUMS


def test_by_the_intake_and_by_an_event(site: Site) -> None:
    own_id = str(uuid.uuid4())
    intake = site.installation.names.intake("sums")
    site.installation.publish(Message(intake, to_json({"id": own_id, "instances": JUST_ABOVE})))
    event = {
        "specversion": "1.0",
        "id": own_id,
        "source": "/shop",
        "type": "shop.order.v2",
        "predictqendpoint": "sums",
        "data": {"instances": LARGE},
    }
    headers = {"content-type": "application/cloudevents+json"}
    answer = site.http.post("/v1/events", content=to_json(event), headers=headers)
    assert answer.status_code == 202, answer.text
    assert outputs_of(site.finished(answer.json()["id"])) == SUMS

    request_id = event_id("sums", "", own_id)
    site.until(lambda: site.installation.rows("SELECT 1 FROM requests WHERE id = ?", request_id))
    assert outputs_of(site.finished(request_id)) == SUMS[: len(JUST_ABOVE)]
    for each in (request_id, answer.json()["id"]):
        assert len(list(folder_of(site.installation).rglob(f"{each}-*.json"))) == 1


def test_above_the_hard_limit_it_is_refused_with_the_limit(site: Site) -> None:
    answer = site.submit("sums", [[n + 0.0625] * 1000 for n in range(700)])
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "5000000 bytes (claim_check.max_bytes)" in answer.json()["errors"][0]["detail"]
    with (
        Client.direct(site.installation.settings) as direct,
        pytest.raises(Rejected, match=r"claim_check\.max_bytes") as rejected,
    ):
        direct.submit("sums", LARGE * 2)
    assert rejected.value.status == 413

    whole = site.http.post(PATH, content=b" " * 9_000_000, headers={"content-type": "application/json"})
    assert whole.status_code == 413
    assert "(gateway.max_body_bytes)" in whole.json()["errors"][0]["detail"]


def test_what_cannot_be_read_fails_alone_with_its_reason(site: Site) -> None:
    installation = site.installation
    root = f"file://{folder_of(installation)}"
    gone = refer(installation, [[1.0]], f"{root}/requests/2026-11-30T15/gone.json")
    foreign = refer(installation, [[2.0]], f"file://{installation.config}")
    good = refer(installation, [[3.0, 4.0]])
    topic = installation.names.requests("sums")
    installation.publish(*(Message(topic, REQUEST.encode(event)) for event in (gone, foreign, good)))

    assert outputs_of(site.finished(good["id"])) == [7]
    for event, said in ((gone, "not in the storage"), (foreign, "no payload below jobs.storage")):
        body = site.finished(event["id"])
        [prediction] = body["predictions"]
        assert (body["status"], prediction["outputs"]) == ("failed", [])
        assert said in prediction["errors"][0]["detail"]
        assert installation.config.name not in prediction["errors"][0]["detail"]
    group = installation.names.workers("sums", "adder")
    dead = "SELECT id, reason FROM dead_letters WHERE group_name = ?"
    site.until(lambda: len(installation.rows(dead, group)) == 2)

    # Once they are back they are sent again.
    file = Path(gone["dataref"].removeprefix("file://"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"[[1.0]]")
    [letter] = [row["id"] for row in installation.rows(dead, group) if "not in the storage" in row["reason"]]
    installation.run("dead-letters", "redrive", letter)
    site.until(lambda: site.read(gone["id"])["status"] == "succeeded")
    assert outputs_of(site.read(gone["id"])) == [1]


def test_while_the_storage_is_away_it_waits_and_no_attempt_is_spent(site: Site) -> None:
    installation = site.installation
    event = refer(installation, [[5.0, 6.0]])
    folder = folder_of(installation)
    before = installation.rows("SELECT count(*) AS n FROM dead_letters")
    folder.rename(folder.with_name("away"))
    try:
        installation.publish(Message(installation.names.requests("sums"), REQUEST.encode(event)))
        site.until(lambda: site.up.log.count("there is no such folder") >= 2)
        assert site.read(event["id"])["status"] == "queued"
    finally:
        folder.with_name("away").rename(folder)
    assert outputs_of(site.finished(event["id"])) == [11]
    assert installation.rows("SELECT count(*) AS n FROM dead_letters") == before


def refer(installation: Installation, instances: list[Any], dataref: str | None = None) -> RequestEvent:
    """A request by another producer, whose instances lie in the storage, or are said to lie elsewhere."""
    event = new_request(request_id=new_id(), endpoint="sums", instances=instances, deployments=["adder"], now=1e9)
    event["time"] = wire_time(1_796_051_045.0)
    if dataref is None:
        payload = Payloads(storage_of(installation)).new(event["id"], to_json(instances), hash_of(instances), 1e9)
        payload.write()
        dataref = payload.url
    return referring_to(dataref, event)


def test_without_a_storage_it_is_refused_as_ever_and_the_cure_is_named(tmp_path: Path) -> None:
    with place_on("redis") as place:
        installation = Installation(tmp_path, place)
        installation.configure("[endpoints.sums]\n[deployments.adder]\nendpoint = 'sums'\nmodel = 'm:C'\n")
        with (
            Client.direct(installation.settings) as direct,
            pytest.raises(Rejected, match="the broker takes") as rejected,
        ):
            direct.submit("sums", LARGE * 2)
    assert rejected.value.status == 413
    [fault] = rejected.value.errors
    assert fault.pointer == "/instances"
    assert "or jobs.storage set to where gateways and workers both reach it" in fault.detail


def test_payloads_are_deleted_when_their_requests_are(installation: Installation) -> None:
    installation.configure(SETTINGS.replace("topics_seconds", "requests_seconds = 60\ntopics_seconds"), MODELS)
    old = refer(installation, [[1.0]])
    young = Payloads(storage_of(installation)).new(new_id(), b"[[1]]", hash_of([[1]]), 4e9)
    young.write()
    files = folder_of(installation)
    assert old["dataref"].startswith(f"file://{files}")
    installation.run("db", "upgrade")
    counted = json.loads(installation.run("db", "prune", "--dry-run", "--json"))
    assert (counted["payloads"], len(list(files.rglob("*.json")))) == (1, 2)

    sync = installation.start("sync")
    eventually(lambda: len(list(files.rglob("*.json"))) == 1, lambda: sync.log)
    assert Path(young.url.removeprefix("file://")).exists()
    assert sync.stop() == 0
    assert "retention: deleted 1 payloads" in sync.log
