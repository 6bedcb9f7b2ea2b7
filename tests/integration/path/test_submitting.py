"""The whole way of a request: submitted by HTTP or by command, predicted, stored, read."""

import json
import uuid
from typing import Any

import pytest
from tests.integration.path.conftest import ROWS, TRUTH, Site

from predictq.ids import created_at, new_id


def by_deployment(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {prediction["deployment"]: prediction for prediction in body["predictions"]}


def test_both_deployments_answer_under_one_id(site: Site) -> None:
    accepted = site.submit("houses", ROWS, metadata={"order": "7"})
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"/v1/predictions/{accepted.json()['id']}"

    body = site.finished(accepted.json()["id"])

    assert (body["endpoint"], body["status"], body["metadata"]) == ("houses", "succeeded", {"order": "7"})
    answers = by_deployment(body)
    assert set(answers) == {"linear", "forest"}
    assert answers["linear"]["outputs"] == pytest.approx(TRUTH)
    assert answers["linear"]["model_version"] == "2026-01"
    assert len(answers["forest"]["outputs"]) == len(ROWS)
    assert all(one["status"] == "succeeded" and one["errors"] == [] for one in answers.values())
    assert answers["linear"]["batch_id"] != answers["forest"]["batch_id"]


def test_one_instance_waited_for_is_answered_at_once(site: Site) -> None:
    answer = site.submit("houses", [ROWS[3]], wait=30)

    assert answer.status_code == 200, site.installation.logs()
    assert by_deployment(answer.json())["linear"]["outputs"] == pytest.approx([TRUTH[3]])


def test_every_mini_batch_has_a_row_that_its_predictions_name(site: Site) -> None:
    body = site.result("houses", ROWS[:5])

    linear = by_deployment(body)["linear"]
    site.until(lambda: site.installation.rows("SELECT 1 FROM batches WHERE id = ?", linear["batch_id"]))
    [batch] = site.installation.rows("SELECT * FROM batches WHERE id = ?", linear["batch_id"])
    assert (batch["deployment"], batch["model_version"], batch["status"]) == ("linear", "2026-01", "succeeded")
    assert batch["size"] >= 5
    assert batch["ingested_at"] <= batch["started_at"] <= batch["finished_at"]


def test_a_key_makes_the_same_request_of_any_number_of_submits(site: Site) -> None:
    headers = {"idempotency-key": f'"{uuid.uuid4()}"'}
    path = "/v1/endpoints/shared/predictions"

    first = site.http.post(path, json={"instances": [[1, 2]]}, headers=headers)
    again = site.http.post(path, json={"instances": [[1, 2]]}, headers=headers)
    body = site.finished(first.json()["id"])
    late = site.http.post(path, json={"instances": [[1, 2]]}, headers=headers)
    other = site.http.post(path, json={"instances": [[3, 4]]}, headers=headers)

    assert [first.status_code, again.status_code, late.status_code] == [202, 202, 202]
    assert {first.json()["id"]} == {again.json()["id"], late.json()["id"]}
    assert other.status_code == 422
    assert [one["outputs"] for one in body["predictions"]] == [[3]]
    [row] = site.installation.rows("SELECT count(*) AS n FROM predictions WHERE request_id = ?", body["id"])
    assert row["n"] == 1


def test_a_read_straight_after_the_submit_finds_the_request(site: Site) -> None:
    for _ in range(20):
        accepted = site.submit("shared", [[1, 1]])
        assert site.read(accepted.json()["id"])["status"] in {"queued", "succeeded"}


def test_an_id_that_was_never_given_is_not_found(site: Site) -> None:
    recent = new_id()
    ancient = "00000000-0000-7000-8000-000000000000"
    assert created_at(ancient) == 0

    # Nobody can tell an id of this minute from one whose message is under way.
    assert site.read(recent)["status"] == "queued"
    # Until the ledger has said for the first time how far it is, nobody can tell of any.
    site.until(lambda: site.http.get(f"/v1/predictions/{ancient}").status_code == 404)


@pytest.mark.parametrize(
    ("endpoint", "name", "text", "outputs"),
    [
        ("moods", "rows.csv", "mood,n\ngood,1\nnan,2\ngood,3\n", [[{"fine": True}], [None], [{"fine": True}]]),
        ("shared", "rows.jsonl", "[1, 2]\n[3, 4]\n[5, 6]\n", [[3], [7], [11]]),
        ("shared", "rows.json", "[[1, 2], [3, 4], [5, 6]]", [[3], [7], [11]]),
    ],
)
def test_a_file_is_submitted_and_each_row_is_answered(
    site: Site, endpoint: str, name: str, text: str, outputs: list[Any]
) -> None:
    (site.installation.folder / name).write_text(text)

    printed = site.installation.run("submit", endpoint, name, "--json")

    submitted = [json.loads(line) for line in printed.splitlines()]
    assert len(submitted) == 3
    assert [site.finished(one["id"])["predictions"][0]["outputs"] for one in submitted] == outputs


def test_rows_from_standard_input_may_share_a_request(site: Site) -> None:
    lines = "".join(f"[{i}, {i}]\n" for i in range(7))

    ids = site.installation.run(
        "submit", "shared", "-", "--format", "jsonl", "--instances-per-request", "3", stdin=lines
    ).split()

    bodies = [json.loads(site.installation.run("get", one, "--wait", "50", "--json")) for one in ids]
    assert [body["predictions"][0]["outputs"] for body in bodies] == [[0, 2, 4], [6, 8, 10], [12]]


def test_get_prints_for_people_and_says_when_there_is_nothing(site: Site) -> None:
    body = site.result("houses", [ROWS[1]])

    printed = site.installation.run("get", body["id"])
    assert all(word in printed for word in (body["id"], "succeeded", "linear", "forest"))
    assert "silent" not in printed
    site.installation.run("get", new_id(), code=1)


def test_a_shadow_is_stored_and_never_shown(site: Site) -> None:
    body = site.result("houses", [[2.0, 5.0]])

    def stored() -> list[dict[str, Any]]:
        return site.installation.rows(
            "SELECT * FROM predictions WHERE request_id = ? AND deployment = 'silent'", body["id"]
        )

    site.until(stored)
    [shadow] = stored()
    assert (shadow["status"], shadow["outputs"], shadow["visible"]) == ("succeeded", "[7.0]", 0)
    assert set(by_deployment(site.read(body["id"]))) == {"linear", "forest"}
    assert "silent" not in site.http.get("/v1/endpoints/houses").text


def test_a_canary_answers_its_share_in_place_of_the_deployment_that_it_names(site: Site) -> None:
    count = 400
    lines = "".join(f"[{i}, 1]\n" for i in range(count))
    ids = site.installation.run("submit", "shared", "-", "--format", "jsonl", stdin=lines).split()

    answered = [[one["deployment"] for one in site.finished(identifier)["predictions"]] for identifier in ids]

    assert all(who in (["steady"], ["trial"]) for who in answered)
    canaries = sum(who == ["trial"] for who in answered)
    # 0.3 of 400 is 120 with a standard deviation of 9.2: beyond five of them once in a million runs.
    assert 74 < canaries < 166


def test_a_key_is_answered_by_the_same_deployment_whenever_it_comes(site: Site) -> None:
    path = "/v1/endpoints/shared/predictions"
    for number in range(20):
        headers = {"idempotency-key": f'"same-{number}"'}
        ids = {site.http.post(path, json={"instances": [[1]]}, headers=headers).json()["id"] for _ in range(2)}
        [identifier] = ids
        assert len(site.finished(identifier)["predictions"]) == 1
