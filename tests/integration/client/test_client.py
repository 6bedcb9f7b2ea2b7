"""Requests and jobs from Python, against everything that runs."""

import asyncio
import gzip
import io
import json
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from rich.console import Console
from tests.conftest import Installation, eventually

from predictq.errors import UserMistake
from predictq.topology import topology_of
from predictq_producers import AsyncClient, Client
from predictq_producers.client import JobFailed, NotFinished, NotFound, Rejected
from predictq_producers.client.bars import Bar

ROWS = [{"a": number, "b": 0.5} for number in range(250)]
CSV = b"id,a,b\n" + b"".join(b"r%d,%d,0.5\n" % (number, number) for number in range(250))


def test_a_prediction_in_one_call(client: Client) -> None:
    result = client.predict("sums", [{"a": 1, "b": 2}, {"a": 0.5, "b": 0.25}], metadata={"order": "7"})
    assert (result.status, result.outputs, result.errors) == ("succeeded", [3, 0.75], [])
    assert client.result(result.id) == result


def test_a_dataframe_is_as_good_as_a_list(client: Client) -> None:
    assert client.predict("sums", pd.DataFrame(ROWS[:3])).outputs == [0.5, 1.5, 2.5]
    assert client.predict("sums", pl.DataFrame(ROWS[:3])).outputs == [0.5, 1.5, 2.5]
    requests = client.submit_many("sums", pd.DataFrame(ROWS[:3]), instances_per_request=2)
    assert [request.result(wait=50).outputs for request in requests] == [[0.5, 1.5], [2.5]]


def test_what_several_deployments_answer_is_told_apart(client: Client) -> None:
    result = client.predict("pairs", [{"a": 1, "b": 2}])
    assert result.of_deployment("left")["outputs"] == [3]
    assert result.of_deployment("right")["outputs"] == [{"label": "odd", "size": 1}]
    with pytest.raises(UserMistake, match="answered have: left, right"):
        _ = result.outputs
    with pytest.raises(UserMistake, match="'middle' has not answered"):
        result.of_deployment("middle")


def test_the_same_key_is_the_same_request_and_never_another_one(client: Client) -> None:
    first, again = (client.submit("sums", [{"a": 1, "b": 2}], idempotency_key="order 1") for _ in range(2))
    assert first.id == again.id
    with pytest.raises(Rejected, match="used with another body"):
        client.submit("sums", [{"a": 2, "b": 2}], idempotency_key="order 1")
    assert first.result(wait=50).outputs == [3]


def test_many_instances_are_requests_in_their_order(client: Client) -> None:
    requests = client.submit_many("sums", iter(ROWS), instances_per_request=40, idempotency_key="many")
    outputs = [output for request in requests for output in request.result(wait=50).outputs]
    assert len(requests) == 7
    assert outputs == [number + 0.5 for number in range(250)]
    again = client.submit_many("sums", ROWS, instances_per_request=40, idempotency_key="many")
    assert [request.id for request in again] == [request.id for request in requests]


def test_many_of_which_one_is_wrong_say_how_many_went_before(client: Client) -> None:
    with pytest.raises(Rejected, match="/instances/0/b") as raised:
        client.submit_many("sums", [*ROWS, {"a": 1}], instances_per_request=1)
    assert raised.value.__notes__ == ["250 requests were submitted before"]


def test_what_is_wrong_is_told_with_its_place(client: Client) -> None:
    with pytest.raises(Rejected) as raised:
        client.submit("sums", [{"a": 1, "b": 2}, {"a": "x", "b": 2}])
    assert raised.value.status == 422
    assert [error.pointer for error in raised.value.errors] == ["/instances/1/a"]
    with pytest.raises(NotFound, match=r"no endpoint 'nowhere'; known: doors, pairs, sums"):
        client.submit("nowhere", [[1]])


def test_a_request_that_takes_its_time_is_waited_for_and_cancelled(client: Client, site: Installation) -> None:
    door = site.folder / "open"
    with pytest.raises(NotFinished) as raised:
        client.predict("doors", [[1]], wait=1)
    try:
        request = client.submit("doors", [[1]])
        started = time.monotonic()
        assert request.result(wait=0.3).status == "queued"
        assert time.monotonic() - started >= 0.3
        assert request.cancel().status == "cancelled"
    finally:
        door.touch()
    assert client.result(raised.value.id, wait=50).outputs == [1]
    door.unlink()


def test_a_file_becomes_a_job_and_a_result_file(client: Client, tmp_path: Path) -> None:
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(CSV))
    job = client.submit_file("sums", tmp_path / "rows.csv.gz", id_column="id", metadata={"order": "7"})
    assert job.wait(50).status == "completed"
    assert (job.counts["total"], job.counts["succeeded"]) == (250, 250)
    assert (job.body["source"], job.body["metadata"]) == ("rows.csv.gz", {"order": "7"})

    lines = b"".join(job.results()).splitlines()
    assert lines[:2] == [b"row,id,status,prediction,error", b"1,r0,succeeded,0.5,"]
    assert len(lines) == 251
    saved = job.save(tmp_path / "results.jsonl").read_bytes().splitlines()
    assert json.loads(saved[249]) == {
        "row": 250,
        "carried": {"id": "r249"},
        "status": "succeeded",
        "outputs": {"sum": 249.5},
        "error": None,
    }
    assert list(job.to_pandas()["prediction"]) == [number + 0.5 for number in range(250)]
    assert job.to_polars()["id"].to_list() == [f"r{number}" for number in range(250)]
    assert list(job.errors()) == []
    with pytest.raises(UserMistake, match=r"no format of '\.xlsx' of results"):
        job.save(tmp_path / "results.xlsx")


def test_a_job_that_has_bad_rows_is_completed_and_tells_them(client: Client) -> None:
    job = client.submit_file("sums", io.BytesIO(b"a;b\n1;2\nx;2\n"), delimiter=";").wait(50)
    assert (job.counts["succeeded"], job.counts["failed"]) == (1, 1)
    [error] = job.errors()
    assert (error["row"], error["column"]) == (2, "a")


def test_a_job_that_fails_says_why(client: Client) -> None:
    job = client.submit_file("sums", io.BytesIO(b"a\n1\n"))
    with pytest.raises(JobFailed, match="column 'b' is missing") as raised:
        job.wait(50)
    assert raised.value.job["status"] == job.status == "failed"
    assert job.reason is not None


def test_a_job_is_refused_as_it_is_described(client: Client) -> None:
    with pytest.raises(Rejected, match="/format one of csv"):
        client.submit_file("sums", io.BytesIO(CSV), format="xlsx")
    with pytest.raises(Rejected, match="the source is not allowed") as raised:
        client.submit_source("sums", "s3://elsewhere/rows.csv")
    assert raised.value.status == 403
    with pytest.raises(NotFound, match="no endpoint 'nowhere'"):
        client.submit_file("nowhere", io.BytesIO(CSV * 10_000))
    with pytest.raises(NotFound, match="there is no job"):
        client.job("74658dfb-ab80-7046-b164-05294764cd5a")


def test_a_file_below_an_allowed_source_is_read_by_the_service(client: Client, site: Installation) -> None:
    (site.folder / "incoming").mkdir()
    (site.folder / "incoming" / "rows.csv").write_bytes(CSV)
    job = client.submit_source("sums", f"file://{site.folder}/incoming/rows.csv", keep=["id"]).wait(50)
    assert job.counts["succeeded"] == 250


def test_a_job_is_cancelled(client: Client) -> None:
    job = client.submit_file("doors", io.BytesIO(b"a\n1\n"))
    while job.refresh().status == "queued":
        time.sleep(0.05)
    with pytest.raises(NotFinished, match=job.id):
        job.wait(0.2)
    assert job.cancel().status == "cancelled"
    with pytest.raises(JobFailed, match="it was cancelled"):
        job.wait(50)


def test_all_jobs_are_listed_over_several_pages(client: Client) -> None:
    made = {client.submit_file("pairs", io.BytesIO(b"a,b\n1,2\n")).wait(50).id for _ in range(2)}
    listed = [job.id for job in client.jobs(endpoint="pairs", status="completed")]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    assert all(job.endpoint == "pairs" for job in client.jobs(endpoint="pairs"))


def test_a_dataframe_of_pandas_comes_back_with_its_index_and_what_it_kept(client: Client) -> None:
    index = pd.Index([f"row {number}" for number in reversed(range(250))], name="which")
    frame = pd.DataFrame(ROWS, index=index)
    frame["when"] = pd.date_range("2026-01-01", periods=250, tz="Europe/Berlin")
    frame["kind"] = pd.Categorical(["u", "v"] * 125)
    frame.loc["row 0", "b"] = np.nan

    answer = client.predict_frame("sums", frame, id_column="when", keep=["kind"], timeout=100)

    assert list(answer.columns) == ["when", "kind", "status", "prediction", "error"]
    assert_frame_equal(answer[["when", "kind"]], frame[["when", "kind"]])
    assert list(answer["prediction"][:-1]) == [number + 0.5 for number in range(249)]
    assert (answer.loc["row 0", "status"], answer["status"].eq("succeeded").sum()) == ("failed", 249)
    assert_frame_equal(client.predict_frame("sums", frame, keep=["*"], timeout=100), answer)


def test_columns_whose_names_have_commas_and_blanks_are_kept(client: Client) -> None:
    frame = pd.DataFrame(ROWS[:2]).assign(**{"name, first": ["x", "y"], " kind": [1, 2], '["': [3, 4]})
    kept = ["name, first", " kind", '["']
    answer = client.predict_frame("sums", frame, keep=kept[1:], id_column=kept[0], timeout=100)
    assert list(answer.columns) == [*kept, "status", "prediction", "error"]
    assert_frame_equal(answer[kept], frame[kept])


@pytest.mark.parametrize(
    ("query", "form", "header"),
    [
        ("keep=id,kind", {}, "id,kind"),
        ("keep=id&keep=kind", {}, "id,kind"),
        ("", {"keep": ["id, kind"]}, "id,kind"),
        ("", {"keep": ["id", "kind"]}, "id,kind"),
        ("", {"keep": ["id,kind", '["a, b"]']}, 'id,kind,"a, b"'),
        ("keep=%5B%22a,%20b%22,%22id%22%5D&keep=kind", {}, 'id,kind,"a, b"'),
    ],
)
def test_by_http_columns_are_named_between_commas_or_in_a_json_array(
    client: Client, site: Installation, query: str, form: dict[str, list[str]], header: str
) -> None:
    file = 'id,kind,"a, b",b\nx,u,7,1\n'
    with site.client() as http:
        answer = http.post(f"/v1/endpoints/pairs/jobs?{query}", data=form, files={"file": ("rows.csv", file.encode())})
    assert answer.status_code == 202, answer.text
    lines = b"".join(client.job(answer.json()["id"]).wait(50).results("csv")).decode().splitlines()
    assert lines[0].startswith(f"row,{header},status")
    assert lines[1].startswith("1,x,u,")


@pytest.mark.parametrize("keep", ['["a", "b', '["a", 1]', '["a"] b', "a,,b"])
def test_names_that_are_none_are_refused_with_what_would_be_right(site: Installation, keep: str) -> None:
    with site.client() as http:
        answer = http.post(
            "/v1/endpoints/sums/jobs", params={"keep": keep}, content="a,b\n1,2\n", headers={"content-type": "text/csv"}
        )
    assert answer.status_code == 422, answer.text
    right = 'names of columns would be right: a,b or, where they have commas in them, ["a, b"]'
    assert answer.json()["errors"] == [{"pointer": "/keep", "detail": right}]


def test_a_dataframe_of_polars_comes_back_in_its_order(client: Client) -> None:
    frame = pl.DataFrame(ROWS).with_columns(status=pl.lit("new"))
    answer = client.predict_frame("pairs", frame, keep=["status"], timeout=100)
    assert answer.columns == ["status", "predicted.status", "left.prediction", "right.label", "right.size", "error"]
    assert answer["status"].to_list() == ["new"] * 250
    assert answer["left.prediction"].to_list() == [number + 0.5 for number in range(250)]


@pytest.mark.parametrize(
    "frame",
    [[{"a": 1, "b": 2}], pd.DataFrame({"a": [], "b": []}), pd.DataFrame([[1, 2]], columns=["a", "a"])],
    ids=["a list", "no rows", "a name twice"],
)
def test_what_is_no_dataframe_to_predict_is_told(client: Client, frame: object) -> None:
    with pytest.raises(UserMistake, match="DataFrame"):
        client.predict_frame("sums", frame)


def test_the_bar_tells_how_far_the_job_is(client: Client) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    job = client.submit_file("sums", io.BytesIO(CSV), keep=["id"]).wait(50)
    with Bar(console=console) as bar:
        bar.show(job)
    assert isinstance(console.file, io.StringIO)
    assert "sums completed" in console.file.getvalue()
    assert "250 of 250 rows" in console.file.getvalue()


@pytest.mark.parametrize(("asked", "shown"), [(None, False), (False, False), (True, True)])
def test_where_nobody_looks_the_bar_is_drawn_only_when_asked_for(
    client: Client, capfd: pytest.CaptureFixture[str], asked: bool | None, shown: bool
) -> None:
    client.submit_file("sums", io.BytesIO(CSV), keep=["id"]).wait(50, progress=asked)
    assert ("250 of 250 rows" in capfd.readouterr().err) == shown


def test_all_of_it_can_be_awaited(site: Installation, tmp_path: Path) -> None:
    async def everything() -> None:
        async with AsyncClient(site.url, timeout=30) as client:
            assert (await client.predict("sums", [{"a": 1, "b": 2}])).outputs == [3]
            requests = await client.submit_many("sums", ROWS, instances_per_request=10)
            results = await asyncio.gather(*(request.result(wait=50) for request in requests))
            assert [output for result in results for output in result.outputs] == [n + 0.5 for n in range(250)]
            with pytest.raises(Rejected) as raised:
                await client.submit_many("sums", [*ROWS, {"a": 1}], instances_per_request=1)
            assert raised.value.__notes__ == ["250 requests were submitted before"]
            request = await client.submit("doors", [[1]])
            assert (await request.cancel()).status == "cancelled"

            job = await client.submit_file("sums", io.BytesIO(b"id,a,b\nr,1,2\nq,x,2\n"), keep=["id"])
            await job.wait(50)
            assert b"".join([piece async for piece in job.results("jsonl")]).count(b"\n") == 2
            assert [error["row"] async for error in job.errors()] == [2]
            assert (await job.save(tmp_path / "r.csv")).read_bytes().startswith(b"row,id,status")
            assert list((await job.to_pandas())["id"]) == ["r", "q"]
            assert (await job.to_polars())["row"].to_list() == [1, 2]
            assert (await client.job(job.id)).counts == job.counts
            assert job.id in [each.id async for each in client.jobs(endpoint="sums")]
            answer = await client.predict_frame("sums", pd.DataFrame(ROWS), timeout=100)
            assert list(answer["prediction"]) == [number + 0.5 for number in range(250)]

            cancelled = await client.submit_file("doors", io.BytesIO(b"a\n1\n"))
            while (await cancelled.refresh()).status == "queued":
                await asyncio.sleep(0.05)
            await cancelled.cancel()
            with pytest.raises(JobFailed):
                await cancelled.wait(50)

    asyncio.run(everything())


def test_beside_the_broker_no_gateway_is_needed_to_submit(site: Installation, client: Client) -> None:
    with Client.direct(site.settings, gateway=site.url) as direct:
        assert direct.predict("sums", [{"a": 1, "b": 2}]).outputs == [3]
        requests = direct.submit_many("sums", ROWS, instances_per_request=100, metadata={"order": "7"})
        assert [len(request.result(wait=50).outputs) for request in requests] == [100, 100, 50]
        assert {result.id for result in direct.results(requests, wait=50)} == {request.id for request in requests}
        keyed = direct.submit("sums", pd.DataFrame(ROWS[:1]), idempotency_key="order 2")
        assert keyed.id == client.submit("sums", ROWS[:1], idempotency_key="order 2").id
        with pytest.raises(Rejected, match="/instances/0/b") as raised:
            direct.submit("sums", [{"a": 1}])
        assert raised.value.status == 422
        with pytest.raises(NotFound, match="no endpoint 'nowhere'"):
            direct.submit("nowhere", [[1]])
        with pytest.raises(Rejected) as too_many:
            direct.submit_many("sums", ROWS * 3, instances_per_request=501)
        assert too_many.value.__notes__ == ["0 requests were submitted before"]

    with Client.direct(site.settings) as alone:
        request = alone.submit("sums", [{"a": 1, "b": 2}])
        with pytest.raises(UserMistake, match=r"Client\.direct\(settings, gateway="):
            request.result()
    assert client.result(request.id, wait=50).outputs == [3]


def unsettled(site: Installation, endpoint: str) -> int:
    """Messages of one endpoint that some group has still to settle."""
    with site.broker() as broker, closing(broker.admin()) as admin:
        lags = [
            admin.lag(topic, group.name)
            for group in topology_of(site.settings).groups
            for topic in group.topics
            if f".{endpoint}." in topic
        ]
    return sum(lag.ready + (lag.in_flight or 0) for lag in lags)


def test_a_job_that_is_sent_again_under_its_key_is_the_first_one(client: Client, site: Installation) -> None:
    job = client.submit_file("sums", io.BytesIO(CSV), keep=["id"], idempotency_key="file 1")
    again = client.submit_file("sums", io.BytesIO(CSV), keep=["id"], idempotency_key="file 1")
    with pytest.raises(Rejected, match="used with another body"):
        client.submit_file("sums", io.BytesIO(b"a,b\n7,7\n" * 1000), idempotency_key="file 1")
    with pytest.raises(Rejected):
        client.submit_file("sums", io.BytesIO(CSV), format="xlsx", idempotency_key="file 1")

    assert job.id == again.id
    assert job.wait(50).counts["total"] == 250
    eventually(lambda: unsettled(site, "sums") == 0)
    assert job.refresh().counts["succeeded"] == job.counts["total"] == 250
    assert job.to_pandas()["id"].tolist() == [f"r{number}" for number in range(250)]
