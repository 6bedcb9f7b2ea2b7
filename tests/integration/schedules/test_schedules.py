"""Schedules as an operator runs them: `predictq up` with two schedulers more, and the list."""

import json
import random
import re
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conftest import Installation, Process, eventually
from tests.places import ServerBroker, place_on

from predictq.clock import parse_time
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
KILLS = 20
CATCH_UP = 'catch_up = "all"\ncatch_up_seconds = 120'
CATCH_UP_TICKS = 24


def test_three_schedulers_start_one_job_a_tick(installation: Installation) -> None:
    installation.configure(SETTINGS, MODELS)
    put_rows(installation)
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "amqp", "kafka"])
def test_on_a_server_too_two_schedulers_start_one_job_a_tick(broker: ServerBroker, tmp_path: Path) -> None:
    with place_on(broker) as place:
        installation = Installation(tmp_path, place)
        installation.configure(SETTINGS, MODELS)
        put_rows(installation)
        try:
            [up] = installation.started(("up", "--json"))
            other = installation.start("scheduler")
            eventually(lambda: len(started_by(other)) >= 3, installation.logs)
            ids = started_by(other)
            eventually(lambda: ids <= started_by(up), installation.logs)
            eventually(lambda: ids <= jobs_by_tick(installation, "completed").keys(), installation.logs)
        finally:
            installation.clear()
        check_one_job_a_tick(installation)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_scheduler_that_is_killed_again_and_again_misses_no_tick_and_starts_none_twice(
    installation: Installation,
) -> None:
    dice = random.Random(7)
    installation.configure(SETTINGS.replace("*/3 ", "*/5 ").replace('catch_up = "none"', CATCH_UP, 1), MODELS)
    put_rows(installation)
    installation.run("topics", "ensure")
    installation.started(("worker", "sum"), ("sync",), ("ingest",))
    for _ in range(KILLS):
        scheduler = installation.start("scheduler")
        eventually(partial(started_by, scheduler), installation.logs)
        time.sleep(dice.random() * 0.05)  # among the jobs that it catches up with
        scheduler.kill()
    last = installation.start("scheduler")
    eventually(lambda: len(started_by(last)) > CATCH_UP_TICKS, installation.logs)
    ids = started_by(last)
    eventually(lambda: ids <= jobs_by_tick(installation, "completed").keys(), installation.logs)

    check_one_job_a_tick(installation)
    ticks = sorted(map(parse_time, jobs_by_tick(installation).values()))
    assert len(ticks) > CATCH_UP_TICKS
    assert {later - earlier for earlier, later in pairwise(ticks)} == {5.0}


def put_rows(installation: Installation) -> None:
    (installation.folder / "incoming").mkdir()
    (installation.folder / "incoming" / "rows.csv").write_text("a,b\n1,2\n3,4\n")


def started_by(scheduler: Process) -> set[str]:
    """The jobs that it says to have started, or one of its children."""
    return set(re.findall(r"job (\S+) of \S+ is started", scheduler.log))


def jobs_by_tick(installation: Installation, status: str | None = None) -> dict[str, str]:
    """The tick of each job that the database knows, by the job's id."""
    rows = installation.rows("SELECT id, status, metadata FROM jobs")
    return {row["id"]: json.loads(row["metadata"])["tick"] for row in rows if status in {None, row["status"]}}


def check_one_job_a_tick(installation: Installation) -> None:
    """No tick has two jobs, and none that is completed was cut twice."""
    ticks = jobs_by_tick(installation)
    assert len(set(ticks.values())) == len(ticks)
    cut = installation.rows(
        "SELECT job_id, count(*) AS chunks, sum(requests) AS requests FROM chunks "
        "WHERE job_id IN (SELECT id FROM jobs WHERE status = 'completed') GROUP BY job_id"
    )
    assert cut
    assert {(row["chunks"], row["requests"]) for row in cut} == {(1, 1)}


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
