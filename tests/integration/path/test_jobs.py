"""Files of many rows: uploaded, predicted row by row, followed, given up, read back."""

import csv
import io
import json
import time
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.integration.path.conftest import TRUTH, Site

from predictq.ids import new_id

COUNT = 12_345


def upload(site: Site, endpoint: str, data: bytes, name: str, **options: str) -> str:
    answer = site.http.post(f"/v1/endpoints/{endpoint}/jobs", files={"file": (name, data)}, data=options)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job_id: str = answer.json()["id"]
    return job_id


def job(site: Site, job_id: str) -> dict[str, Any]:
    answer = site.http.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def over(site: Site, job_id: str) -> dict[str, Any]:
    """The job when it is neither queued nor running."""
    site.until(lambda: job(site, job_id)["completed_at"] is not None)
    return job(site, job_id)


def rows_of(site: Site, job_id: str) -> list[dict[str, str]]:
    text = site.http.get(f"/v1/jobs/{job_id}/results", params={"format": "csv"}).text
    return list(csv.DictReader(io.StringIO(text)))


def errors_of(site: Site, job_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in site.http.get(f"/v1/jobs/{job_id}/errors").text.splitlines()]


def numbers(count: int = COUNT) -> pa.Table:
    return pa.table({"key": [f"k{i}" for i in range(count)], "a": [float(i) for i in range(count)], "b": [2.5] * count})


def as_csv(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pa.csv.write_csv(table, out)
    return out.getvalue()


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=5000)
    return out.getvalue()


def as_lines(table: pa.Table) -> bytes:
    return b"".join(json.dumps([row["a"], row["b"]]).encode() + b"\n" for row in table.to_pylist())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_row_of_a_file_is_predicted_and_comes_back_in_order(site: Site, form: str) -> None:
    data = as_csv(numbers()) if form == "csv" else as_parquet(numbers())

    job_id = upload(site, "shared", data, f"rows.{form}", id_column="key", arrays="true")
    body = over(site, job_id)

    assert (body["status"], body["source"]) == ("completed", f"rows.{form}"), body
    assert body["counts"] == {
        "total": COUNT,
        "succeeded": COUNT,
        "failed": 0,
        "expired": 0,
        "cancelled": 0,
        "queued": 0,
    }
    assert body["created_at"] <= body["started_at"] <= body["completed_at"]
    table = pq.read_table(io.BytesIO(site.http.get(f"/v1/jobs/{job_id}/results?format=parquet").content))
    assert table["row"].to_pylist() == list(range(1, COUNT + 1))
    assert table["key"].to_pylist() == [f"k{i}" for i in range(COUNT)]
    assert set(table["status"].to_pylist()) == {"succeeded"}
    answers = [name for name in table.column_names if name.endswith("prediction")]
    total = [sum(value or 0 for value in row) for row in zip(*(table[n].to_pylist() for n in answers), strict=True)]
    assert total == [i + 2.5 for i in range(COUNT)]
    assert errors_of(site, job_id) == []


def test_each_deployment_has_its_columns(site: Site) -> None:
    data = b"".join(f"{float(i)},{float(i * i % 7)}\n".encode() for i in range(40))

    rows = rows_of(site, _completed(site, upload(site, "houses", data, "rows.csv", header="false")))

    assert list(rows[0]) == ["row", "status", "forest.prediction", "linear.prediction", "error"]
    assert [float(row["linear.prediction"]) for row in rows] == pytest.approx(TRUTH)


def _completed(site: Site, job_id: str) -> str:
    body = over(site, job_id)
    assert body["status"] == "completed", body
    return job_id


def test_a_bad_row_fails_alone_and_stands_among_the_errors(site: Site) -> None:
    lines = as_csv(numbers(1000)).splitlines()
    lines[11] = b"k10,not a number,2.5"
    lines[501] = b"k500,1.0"
    lines[601] = b"k600,\xff,2.5"

    job_id = upload(site, "shared", b"\n".join(lines), "rows.csv", id_column="key", arrays="true")
    body = over(site, job_id)

    assert body["status"] == "completed"
    counts = body["counts"]
    assert (counts["total"], counts["succeeded"], counts["failed"]) == (1000, 997, 3), errors_of(site, job_id)
    errors = errors_of(site, job_id)
    assert [error["row"] for error in errors] == [11, 501, 601]
    assert errors[1]["reason"] == "has 2 cells; 3, one for each column, would be right"
    assert errors[1]["value"] == "k500,1.0"
    assert errors[2]["reason"] == "is not UTF-8"
    rows = rows_of(site, job_id)
    assert [row["row"] for row in rows if row["status"] == "failed"] == ["11", "501", "601"]
    assert rows[9]["status"] == rows[11]["status"] == "succeeded"
    assert rows[999]["key"] == "k999"


def test_a_file_that_cannot_be_read_fails_with_one_reason(site: Site) -> None:
    body = over(site, upload(site, "shared", b"PAR1 and then nothing of the kind", "rows.parquet"))

    assert body["status"] == "failed"
    assert body["reason"].startswith("the file cannot be read on: ")
    assert body["counts"]["total"] == 0


def test_a_number_that_is_none_within_a_list_is_refused_by_its_row(site: Site) -> None:
    lists = [[1.0, 2.0], [float("nan"), 1.0], [3.0, 4.0]]
    table = pa.table({"key": ["a", "b", "NaN"], "x": pa.array(lists, pa.list_(pa.float64()))})

    body = over(site, upload(site, "moods", as_parquet(table), "rows.parquet", id_column="key"))

    assert body["status"] == "completed"
    errors = {error["row"]: error for error in errors_of(site, body["id"])}
    assert "is no finite number" in errors[2]["reason"]
    assert errors[2]["deployment"] is None
    assert {errors[row]["deployment"] for row in (1, 3)} == {"moody"}, "the model saw these, and knows no such mood"


def test_a_job_is_known_from_the_moment_it_was_accepted(site: Site) -> None:
    job_id = upload(site, "shared", as_lines(numbers(10)), "rows.jsonl")

    answers = [site.http.get(f"/v1/jobs/{job_id}").status_code for _ in range(50)]

    assert set(answers) == {200}
    _completed(site, job_id)
    site.until(lambda: site.http.get(f"/v1/jobs/{new_id()[:-1]}z").status_code == 404)


def test_the_same_key_is_one_job(site: Site) -> None:
    headers = {"idempotency-key": f'"{new_id()}"'}
    data = {"files": {"file": ("rows.jsonl", as_lines(numbers(500)))}, "headers": headers}

    first, again = (site.http.post("/v1/endpoints/shared/jobs", **data).json()["id"] for _ in range(2))  # type: ignore[arg-type] # of one kind each

    assert first == again
    assert over(site, first)["counts"]["total"] == 500
    assert len(rows_of(site, first)) == 500


def test_another_file_under_a_key_is_refused(site: Site) -> None:
    headers = {"idempotency-key": f'"{new_id()}"'}

    def send(rows: bytes, **fields: str) -> httpx.Response:
        file = {"file": ("rows.jsonl", rows)}
        return site.http.post("/v1/endpoints/shared/jobs", files=file, data=fields, headers=headers)

    job_id = send(as_lines(numbers(20))).json()["id"]

    for other in (send(as_lines(numbers(21))), send(as_lines(numbers(20)), keep="a")):
        assert other.status_code == 422, other.text
        assert other.json()["errors"][0]["pointer"] == "/file"
    assert over(site, job_id)["counts"]["total"] == 20
    uploads = site.installation.folder / "var" / "storage" / "jobs" / job_id / "uploads"
    assert len(list(uploads.iterdir())) == 1, "what was refused is kept no longer"


def test_a_job_that_is_cancelled_keeps_what_it_has(site: Site) -> None:
    rows = b"".join(json.dumps({"mood": "patient"}).encode() + b"\n" for _ in range(200_000))
    job_id = upload(site, "moods", rows, "rows.jsonl")
    (site.installation.folder / "open").unlink(missing_ok=True)
    site.until((site.installation.folder / "waiting").exists)
    # More of them than may wait: some are never cut.
    site.until(lambda: job(site, job_id)["counts"]["total"])

    answer = site.http.post(f"/v1/jobs/{job_id}/cancel")
    (site.installation.folder / "open").touch()

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "cancelled"
    assert body["counts"]["queued"] == 0
    again = site.http.post(f"/v1/jobs/{job_id}/cancel").json()
    assert again["completed_at"] == body["completed_at"]
    site.until(lambda: {row["status"] for row in rows_of(site, job_id)} <= {"cancelled", "succeeded"})
    counts = job(site, job_id)["counts"]
    assert counts["cancelled"] > 0
    assert counts["cancelled"] + counts["succeeded"] == (counts["total"] or counts["cancelled"] + counts["succeeded"])
    for name in ("open", "waiting"):
        (site.installation.folder / name).unlink(missing_ok=True)


def test_jobs_are_listed_page_by_page(site: Site) -> None:
    ids = []
    for _ in range(3):
        ids.append(_completed(site, upload(site, "shared", as_lines(numbers(1)), "rows.jsonl")))
        time.sleep(0.002)

    seen: list[str] = []
    cursor = None
    while len(seen) < 3:
        params = {"endpoint": "shared", "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = site.http.get("/v1/jobs", params=params).json()
        seen += [body["id"] for body in page["jobs"]]
        cursor = page["next"]

    assert seen == ids[::-1]
    assert site.http.get("/v1/jobs", params={"cursor": "what"}).status_code == 400
    assert site.http.get("/v1/jobs", params={"status": "what"}).status_code == 400


def test_an_upload_that_is_cut_off_leaves_nothing(site: Site) -> None:
    before = len(site.http.get("/v1/jobs", params={"limit": "500"}).json()["jobs"])

    def half() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n\r\na,b\n1,2\n'
        raise ConnectionError("cut off")

    with pytest.raises((httpx.HTTPError, ConnectionError)):
        site.http.post(
            "/v1/endpoints/shared/jobs", content=half(), headers={"content-type": "multipart/form-data; boundary=x"}
        )

    storage = site.installation.folder / "var" / "storage" / "jobs"
    site.until(lambda: not list(storage.glob("*/.input.*")))
    assert len(site.http.get("/v1/jobs", params={"limit": "500"}).json()["jobs"]) == before


@pytest.mark.parametrize(
    ("options", "status", "pointer"),
    [
        ({"format": "xlsx"}, 422, "/format"),
        ({"delimiter": "ab"}, 422, "/delimiter"),
        ({"encoding": "klingon"}, 422, "/encoding"),
        ({"hedaer": "false"}, 422, "/hedaer"),
        ({"header": "perhaps"}, 422, "/header"),
    ],
)
def test_an_option_that_is_wrong_is_refused_by_its_place(
    site: Site, options: dict[str, str], status: int, pointer: str
) -> None:
    answer = site.http.post("/v1/endpoints/shared/jobs", files={"file": ("a.csv", b"a\n1\n")}, data=options)

    assert answer.status_code == status, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_metadata_that_is_no_json_is_refused_and_the_file_is_gone(site: Site) -> None:
    storage = site.installation.folder / "var" / "storage" / "jobs"
    before = set(storage.glob("*/uploads/*/rows"))

    answer = site.http.post(
        "/v1/endpoints/shared/jobs", files={"file": ("a.csv", b"a\n1\n")}, data={"metadata": "{broken"}
    )

    assert answer.status_code == 400, answer.text
    assert set(storage.glob("*/uploads/*/rows")) == before


def test_a_source_that_is_not_allowed_is_refused(site: Site) -> None:
    for source in ("file:///etc/passwd", "http://127.0.0.1/rows.csv", "s3://bucket/rows.csv"):
        answer = site.http.post("/v1/endpoints/shared/jobs", json={"source": source})
        assert answer.status_code == 403, answer.text
    assert site.http.post("/v1/endpoints/shared/jobs", json={"source": "rows"}).status_code == 422
    assert site.http.post("/v1/endpoints/nobody/jobs", json={"source": "s3://a/b"}).status_code == 404
