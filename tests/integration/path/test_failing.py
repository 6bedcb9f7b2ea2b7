"""Models and instances that fail: who pays, what the client is told, and what an operator can do."""

import json
import time
from typing import Any

import pytest
from tests.integration.path.conftest import Site


def moods(*names: str) -> list[dict[str, Any]]:
    return [{"mood": name} for name in names]


def only(body: dict[str, Any]) -> dict[str, Any]:
    [prediction] = body["predictions"]
    assert isinstance(prediction, dict)
    return prediction


def test_instances_that_fail_leave_null_and_a_reason_among_the_outputs(site: Site) -> None:
    body = site.result("moods", moods("good", "raise", "good", "nan", "good"))

    assert body["status"] == "partial"
    prediction = only(body)
    assert prediction["status"] == "partial"
    assert prediction["outputs"] == [{"fine": True}, None, {"fine": True}, None, {"fine": True}]
    assert [error["index"] for error in prediction["errors"]] == [1, 3]
    assert "RuntimeError: not in the mood" in prediction["errors"][0]["detail"]
    assert "NaN" in prediction["errors"][1]["detail"] or "finite" in prediction["errors"][1]["detail"]


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("raise", "not in the mood"),
        ("fewer", "0 outputs for 1 instance"),
        ("nan", "finite"),
        ("infinite", "finite"),
        ("object", "JSON"),
        ("unheard of", "KeyError"),
    ],
)
def test_an_answer_that_is_none_is_failed_and_says_why(site: Site, mood: str, said: str) -> None:
    body = site.result("moods", moods(mood))

    assert body["status"] == "failed"
    prediction = only(body)
    assert (prediction["status"], prediction["outputs"]) in (("failed", [None]), ("failed", []))
    assert said in prediction["errors"][0]["detail"]


def test_requests_of_one_mini_batch_do_not_pay_for_each_other(site: Site) -> None:
    before = site.dead_letters("moods")
    lines = "".join(json.dumps({"mood": "raise" if i % 10 == 3 else "good"}) + "\n" for i in range(60))

    ids = site.installation.run("submit", "moods", "-", "--format", "jsonl", stdin=lines).split()

    statuses = [site.finished(one)["status"] for one in ids]
    assert statuses == ["failed" if i % 10 == 3 else "succeeded" for i in range(60)]
    assert site.dead_letters("moods") == before


def test_what_may_work_later_is_tried_again_then_a_dead_letter_then_redriven(site: Site) -> None:
    body = site.result("moods", moods("sunny", "sunny"))

    assert body["status"] == "failed"
    assert "the sky is away" in only(body)["errors"][0]["detail"]
    site.until(lambda: site.dead_letters("moods"))
    [letter] = site.dead_letters("moods")
    assert (letter["group_name"], letter["attempts"], letter["state"]) == (
        site.installation.names.workers("moods", "moody"),
        3,
        "open",
    )
    assert "3 attempts" in letter["reason"]
    assert (site.installation.folder / "tries").read_text() == "xxx"

    listed = site.installation.run("dead-letters", "list", "--endpoint", "moods", "--json")
    assert letter["id"] in listed
    assert body["id"] in site.installation.run("dead-letters", "show", letter["id"])
    (site.installation.folder / "sun").touch()
    site.installation.run("dead-letters", "redrive", letter["id"])

    site.until(lambda: site.read(body["id"])["status"] == "succeeded")
    assert only(site.read(body["id"]))["outputs"] == ["sunshine", "sunshine"]
    [letter] = site.dead_letters("moods")
    assert letter["state"] == "redriven"
    sql = "SELECT count(*) AS n, max(redrive) AS redrive FROM predictions WHERE request_id = ?"
    assert site.installation.rows(sql, body["id"]) == [{"n": 1, "redrive": 1}]


def test_what_is_past_its_deadline_or_cancelled_is_not_predicted(site: Site) -> None:
    door, waiting = site.installation.folder / "open", site.installation.folder / "waiting"
    blocking = site.submit("moods", moods("patient")).json()["id"]
    site.until(waiting.exists)
    late = site.submit("moods", moods("good"), deadline_seconds=0.5).json()["id"]
    deadline = time.time() + 0.5
    unwanted = site.submit("moods", moods("good")).json()["id"]
    wanted = site.submit("moods", moods("good")).json()["id"]

    cancelled = site.http.post(f"/v1/predictions/{unwanted}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert site.read(unwanted)["status"] == "cancelled"
    site.until(lambda: time.time() > deadline)
    door.touch()

    assert site.finished(blocking)["status"] == "succeeded"
    assert site.finished(wanted)["status"] == "succeeded"
    assert site.finished(late)["status"] == "expired"
    assert only(site.read(late))["outputs"] == []
    site.until(lambda: site.installation.unsettled() == 0)
    assert site.read(unwanted)["status"] == "cancelled"
    assert site.http.post(f"/v1/predictions/{wanted}/cancel").json()["status"] == "succeeded"
