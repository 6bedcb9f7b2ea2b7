"""What operators look at, through a real gateway, with real workers and a real sync service."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.conftest import Installation, eventually
from tests.integration.gateway.conftest import Running
from tests.servers.ports import free_port

from predictq.settings import Settings
from predictq_sync.service import prepare

SETTINGS = """
[gateway]
poll_seconds = 0.2
[endpoints.moods]
[deployments.moody]
endpoint = "moods"
model = "models:Moody"
version = "7"
max_attempts = 2
retry_seconds = 0.05
[deployments.trial]
endpoint = "moods"
model = "models:Moody"
role = "canary"
of = "moody"
share = 0.5
max_attempts = 2
retry_seconds = 0.05
[deployments.silent]
endpoint = "moods"
model = "models:Calm"
role = "shadow"
[endpoints.quiet]
"""
MODELS = """
from predictq.errors import Retryable

class Calm:
    def predict(self, batch):
        return ["calm"] * len(batch)

class Moody:
    def predict(self, batch):
        if {"mood": "cloudy"} in batch:
            raise Retryable("the sky is away")
        return ["fine"] * len(batch)
"""
AN_ID = "01a21daf-43d8-7c1d-8e66-f054760265a3"
PATHS = (
    "/v1/status",
    "/v1/deployments",
    "/v1/endpoints/tumours/activity",
    "/v1/predictions",
    f"/v1/predictions/{AN_ID}/way",
    "/v1/dead-letters",
    f"/v1/dead-letters/{AN_ID}",
)
OF_DATABASE = PATHS[2:]


class Site:
    """An installation in which one request was answered, and one died."""

    def __init__(self, installation: Installation, http: httpx.Client) -> None:
        self.installation = installation
        self.http = http
        self.fine = self._submitted("sunny")
        self.dead = self._submitted("cloudy")

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, condition: Callable[[], object]) -> None:
        eventually(condition, self.installation.logs)

    def way(self, request_id: str) -> Any:
        """Once all that is to be known of it is there."""

        def whole() -> Any:
            way = self.get(f"/v1/predictions/{request_id}/way")
            answers = way["predictions"]
            return way if len(answers) == 2 and all(each["batch"] for each in answers) else None

        self.until(whole)
        return self.get(f"/v1/predictions/{request_id}/way")

    def _submitted(self, mood: str) -> str:
        answer = self.http.post(
            "/v1/endpoints/moods/predictions",
            json={"instances": [{"mood": mood}], "metadata": {"mood": mood}},
            headers={"prefer": "wait=50"},
        )
        assert answer.status_code == 200, self.installation.logs()
        request_id: str = answer.json()["id"]
        return request_id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    installation = Installation(tmp_path_factory.mktemp("site"))
    installation.configure(SETTINGS, MODELS)
    try:
        installation.started(("up", "--json"))
        with installation.client() as http:
            yield Site(installation, http)
    finally:
        installation.clear()


def test_the_status_tells_what_answers_and_how_far_the_ledger_is(site: Site) -> None:
    site.until(lambda: site.get("/v1/status")["ledger"]["behind_seconds"] is not None)
    status = site.get("/v1/status")

    assert status["broker"]["kind"] == status["database"]["kind"] == "sqlite"
    assert status["broker"]["ok"] is status["database"]["ok"] is True
    assert status["database"]["detail"].startswith("SQLite 3.")
    assert status["ledger"]["behind_seconds"] >= 0


def test_all_deployments_are_listed_with_their_workers(site: Site) -> None:
    found = {each["name"]: each for each in site.get("/v1/deployments")["deployments"]}

    assert list(found) == ["moody", "trial", "silent"]
    assert {name: each["role"] for name, each in found.items()} == {
        "moody": "live",
        "trial": "canary",
        "silent": "shadow",
    }
    assert (found["trial"]["of"], found["trial"]["share"], found["moody"]["of"]) == ("moody", 0.5, None)
    assert {each["state"] for each in found.values()} == {"serving"}
    assert {each["members"] for each in found.values()} == {1}
    assert found["moody"]["version"] == "7"
    assert found["moody"]["lag"]["ready"] == 0


def test_an_answer_is_seen_with_its_mini_batch_and_worker_and_so_is_the_shadows(site: Site) -> None:
    way = site.way(site.fine)

    assert (way["status"], way["endpoint"], way["metadata"]) == ("succeeded", "moods", {"mood": "sunny"})
    answers = {each["visible"]: each for each in way["predictions"]}
    assert answers[True]["outputs"] == ["fine"]
    assert (answers[False]["deployment"], answers[False]["outputs"]) == ("silent", ["calm"])
    for each in answers.values():
        batch = each["batch"]
        assert batch["worker"]
        assert (batch["requests"], batch["size"], batch["status"]) == (1, 1, "succeeded")
        assert batch["ingested_at"] <= batch["started_at"] <= batch["finished_at"] <= each["created_at"]
    assert way["owed"] == way["dead_letters"] == way["deliveries"] == []
    assert way["job"] is None


def test_clients_never_see_the_shadow(site: Site) -> None:
    site.way(site.fine)

    read = site.get(f"/v1/predictions/{site.fine}")
    shown = site.get("/v1/endpoints/moods")

    assert "silent" not in str(read) + str(shown)


def test_what_failed_is_found_with_its_dead_letter_and_the_reason(site: Site) -> None:
    site.until(lambda: site.get(f"/v1/predictions/{site.dead}/way")["dead_letters"])
    way = site.way(site.dead)
    [letter] = way["dead_letters"]
    failed = site.get("/v1/predictions", endpoint="moods", status="failed")["predictions"]
    listed = site.get("/v1/dead-letters", endpoint="moods", state="open")["dead_letters"]
    shown = site.get(f"/v1/dead-letters/{letter['id']}")

    assert way["status"] == "failed"
    [answer] = [each for each in way["predictions"] if each["visible"]]
    assert answer["status"] == "failed"
    assert answer["batch"]["worker"]
    assert "the sky is away" in answer["errors"][0]["detail"]
    assert letter["deployment"] == answer["deployment"]
    assert "the sky is away" in letter["reason"]
    assert letter["attempts"] == 2
    assert [each["id"] for each in failed] == [site.dead]
    assert failed[0]["completed_at"] == way["completed_at"]
    assert listed == [letter]
    assert shown == {**letter, "headers": shown["headers"], "value": shown["value"], "truncated": False}
    assert '"cloudy"' in shown["value"]


def test_requests_are_listed_newest_first_page_by_page(site: Site) -> None:
    site.until(lambda: len(site.get("/v1/predictions")["predictions"]) == 2)
    first = site.get("/v1/predictions", limit=1)
    second = site.get("/v1/predictions", limit=1, cursor=first["next"])

    assert [each["id"] for page in (first, second) for each in page["predictions"]] == [site.dead, site.fine]
    assert second["next"] is None
    assert site.get("/v1/predictions", endpoint="quiet") == {"predictions": [], "next": None}


def test_mini_batches_are_told_step_by_step(site: Site) -> None:
    site.way(site.fine)
    site.way(site.dead)
    # A window ends before now, with the last step that is over.
    site.until(lambda: sum(_activity(site)["silent"]["requests"]) == 2)
    found = _activity(site)

    assert list(found) == ["moody", "trial", "silent"]
    assert sum(found["silent"]["instances"]) == 2
    assert found["silent"]["latency_seconds"]["of"] == 2
    assert sum(sum(found[name]["failed_batches"]) for name in ("moody", "trial")) >= 1
    sizes = [size for size in found["silent"]["batch_size"] if size is not None]
    assert set(sizes) <= {1.0, 2.0}


def _activity(site: Site) -> dict[str, Any]:
    activity = site.get("/v1/endpoints/moods/activity", seconds=600)
    assert {len(each["batches"]) for each in activity["deployments"]} == {600 // activity["step_seconds"]}
    return {each["name"]: each for each in activity["deployments"]}


def test_a_request_that_the_ledger_has_not_come_to_has_a_way(run: Callable[..., Running], settings: Settings) -> None:
    database = f"sqlite:///{settings.folder}/none.db"
    prepare(settings.model_copy(update={"database": database}))
    running = run()
    request_id = running.submit().json()["id"]

    way = running.client.get(f"/v1/predictions/{request_id}/way")

    assert way.status_code == 200
    told = way.json()
    assert (told["id"], told["status"], told["endpoint"], told["owed"]) == (request_id, "queued", None, [])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/endpoints/nowhere/activity", 404),
        ("/v1/endpoints/moods/activity?seconds=nan", 422),
        ("/v1/endpoints/moods/activity?seconds=inf", 422),
        ("/v1/endpoints/moods/activity?seconds=9", 422),
        ("/v1/endpoints/moods/activity?seconds=3601", 422),
        ("/v1/endpoints/moods/activity?seconds=1e400", 422),
        ("/v1/endpoints/moods/activity?seconds=soon", 422),
        ("/v1/predictions?limit=0", 422),
        ("/v1/predictions?limit=501", 422),
        (f"/v1/predictions?limit={'9' * 5000}", 422),
        ("/v1/predictions?endpoint=nowhere", 400),
        ("/v1/predictions?endpoint=%00", 400),
        ("/v1/predictions?status=done", 400),
        ("/v1/predictions?cursor=x", 400),
        (f"/v1/predictions?cursor={'A' * 10_240}", 400),
        ("/v1/predictions/no-uuid/way", 404),
        ("/v1/predictions/%00/way", 404),
        (f"/v1/predictions/{'a' * 10_240}/way", 404),
        ("/v1/predictions/01936f2e-7c4d-7abc-8123-0123456789ab/way", 404),
        ("/v1/dead-letters?limit=-1", 422),
        ("/v1/dead-letters?state=shut", 400),
        ("/v1/dead-letters?endpoint=nowhere", 400),
        (f"/v1/dead-letters?cursor={quote('ä')}", 400),
        (f"/v1/dead-letters/{AN_ID}", 404),
        ("/v1/dead-letters/%00", 404),
        (f"/v1/dead-letters/{'a' * 10_240}", 404),
        (f"/v1/dead-letters/{quote('ä')}", 404),
    ],
)
def test_what_cannot_be_asked_is_a_problem_that_says_so(site: Site, path: str, status: int) -> None:
    answer = site.http.get(path)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert len(answer.content) < 1000


def test_broker_and_database_that_are_away_are_told_without_their_secrets(
    run: Callable[..., Running], settings: Settings
) -> None:
    broker = f"redis://operator:geheim@127.0.0.1:{free_port()}/0"
    database = f"postgresql+psycopg://operator:geheim@127.0.0.1:{free_port()}/none"
    running = run(settings.model_copy(update={"broker": broker}), "/healthz", database)

    answer = running.client.get("/v1/status")

    assert answer.status_code == 200
    status = answer.json()
    assert (status["broker"]["kind"], status["broker"]["ok"]) == ("redis", False)
    assert (status["database"]["kind"], status["database"]["ok"]) == ("postgresql", False)
    assert status["broker"]["detail"]
    assert status["database"]["detail"]
    assert status["ledger"] == {"behind_seconds": None}
    assert "geheim" not in answer.text
    assert running.client.get("/v1/deployments").status_code == 503


@pytest.mark.parametrize("path", OF_DATABASE)
def test_a_database_that_is_away_is_503(running: Running, path: str) -> None:
    answer = running.client.get(path)

    assert answer.status_code == 503
    assert answer.json()["detail"] == "the database is away; try again in a moment"


def test_without_the_page_there_are_none_of_these_routes(run: Callable[..., Running], settings: Settings) -> None:
    gateway = settings.gateway.model_copy(update={"page": False})
    running = run(settings.model_copy(update={"gateway": gateway}))

    assert {path: running.client.get(path).status_code for path in PATHS} == dict.fromkeys(PATHS, 404)
    assert "operation" not in {
        tag
        for operations in running.client.get("/openapi.json").json()["paths"].values()
        for operation in operations.values()
        for tag in operation["tags"]
    }
