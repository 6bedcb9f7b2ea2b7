"""Schedules as an operator runs them: `predictq up` with two schedulers more, and the list."""

import json
from collections import Counter
from pathlib import Path

from tests.conftest import Installation, eventually

from predictq.messages import CHUNK, JOB

SETTINGS = """
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
[schedules.often]
endpoint = "sums"
source = "file://incoming/rows.csv"
cron = "*/3 * * * * *"
timezone = "Europe/Berlin"
result = "file://outgoing/{tick:%H%M%S}.jsonl"
catch_up = "none"
[schedules.monthly]
endpoint = "sums"
source = "file://incoming/{tick:%Y-%m}.csv"
cron = "30 2 1 * *"
catch_up = "none"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row.values()) for row in batch]
"""
JOBS = "predictq.sums.jobs"


def test_three_schedulers_start_one_job_a_tick(installation: Installation) -> None:
    installation.configure(SETTINGS, MODELS)
    (installation.folder / "incoming").mkdir()
    (installation.folder / "incoming" / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    installation.run("topics", "ensure")
    installation.audit(JOBS, "predictq.sums.bulk")
    installation.started(("up", "--json"), ("scheduler",), ("scheduler",))

    def completed() -> list[str]:
        return [row["id"] for row in installation.rows("SELECT id FROM jobs WHERE status = 'completed'")]

    eventually(lambda: len(completed()) >= 4, installation.logs)
    outgoing = installation.folder / "outgoing"
    eventually(lambda: len(list(outgoing.glob("*.jsonl"))) >= 3, installation.logs)
    listed = json.loads(installation.run("schedules", "--json"))
    table = installation.run("schedules")

    records = [record.value for record in installation.messages(JOBS)]
    accepted = [JOB.decode(value)["data"] for value in records if b'"accepted"' in value]
    ticks = {job["job_id"]: job["metadata"]["tick"] for job in accepted}
    assert len(set(ticks.values())) == len(ticks), "one job a tick"
    assert len(accepted) > len(ticks), "they started the same ones"
    cut = Counter(
        CHUNK.decode(value)["data"]["job_id"]
        for value in records
        if b'"predictq.chunk.v1"' in value and b'"planned"' in value
    )
    assert set(cut.values()) == {1}, "each was planned once"
    assert len(installation.messages("predictq.sums.bulk")) == len(cut)
    for file in outgoing.glob("*.jsonl"):
        assert [json.loads(line)["outputs"] for line in file.read_text().splitlines()] == [{"sum": 3}, {"sum": 7}]

    often = next(schedule for schedule in listed if schedule["name"] == "often")
    assert often["timezone"] == "Europe/Berlin"
    assert often["next"] > often["jobs"][0]["tick"]
    assert {job["id"] for job in often["jobs"]} & set(ticks)
    assert "completed" in {job["status"] for job in often["jobs"]}
    monthly = next(schedule for schedule in listed if schedule["name"] == "monthly")
    assert [job["status"] for job in monthly["jobs"]] == ["not started"] * 3
    assert table.splitlines()[0].split("\t") == ["schedule", "endpoint", "cron", "next", "last", "status", "job"]


def test_without_a_gateway_the_list_says_so_and_shows_the_rest(installation: Installation) -> None:
    installation.configure(SETTINGS, MODELS)

    listed = json.loads(installation.run("schedules", "--json"))

    assert [schedule["name"] for schedule in listed] == ["often", "monthly"]
    assert all(job["status"] is None for schedule in listed for job in schedule["jobs"])


def test_a_scheduler_without_anything_to_start_or_anyone_to_answer_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    for settings, said in (
        ("[endpoints.sums]\n", "schedules: none is configured"),
        (
            '[endpoints.sums]\n[schedules.a]\nendpoint = "sums"\nsource = "file://a.csv"\ncron = "0 0 * * *"\n',
            "schedules.a: endpoint 'sums' has no deployment yet",
        ),
    ):
        installation.configure(settings)
        process = installation.start("scheduler")
        assert process.wait() == 2
        assert said in process.log
