"""Jobs in the database, on both: whatever order their events come in, and however often."""

import io
import itertools
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic_core import from_json
from tests.unit.sync.conftest import NAMES, NOW, make_ledger, make_store, prediction, record, rows_of

from predictq.brokers import Dead, Record
from predictq.clock import wire_time
from predictq.ids import derived_id
from predictq.messages import CHUNK, JOB, RequestEvent, encode_rows, hash_of
from predictq.storage import Storage
from predictq_sync.database import Database
from predictq_sync.jobs.forgetting import forgetting, old_jobs
from predictq_sync.jobs.progress import JobProgress
from predictq_sync.jobs.reading import JobReader
from predictq_sync.jobs.results import JobResults
from predictq_sync.jobs.writing import write_errors, write_results

JOB_ID = derived_id("job")
ENDPOINT = "tumours"
ROWS = 4
TOPIC = NAMES.jobs(ENDPOINT)


def job_event(state: str, **data: Any) -> Record:
    event: Any = {
        "specversion": "1.0",
        "id": JOB_ID if state == "accepted" else derived_id(JOB_ID, state),
        "source": f"/predictq/endpoints/{ENDPOINT}",
        "type": "predictq.job.v1",
        "time": wire_time(NOW),
        "data": {"job_id": JOB_ID, "endpoint": ENDPOINT, "state": state, **data},
    }
    return record(TOPIC, JOB.encode(event))


def accepted() -> Record:
    return job_event("accepted", source={"url": "file:///rows.csv", "name": "rows.csv"}, metadata={"order": "7"})


def chunk_event(number: int, state: str, folder: Path, **data: Any) -> Record:
    event: Any = {
        "specversion": "1.0",
        "id": derived_id(JOB_ID, str(number), state),
        "source": f"/predictq/endpoints/{ENDPOINT}",
        "type": "predictq.chunk.v1",
        "time": wire_time(NOW),
        "data": {
            "job_id": JOB_ID,
            "endpoint": ENDPOINT,
            "state": state,
            "number": number,
            "first_row": number * ROWS,
            "rows": ROWS,
            "url": f"file://{folder}/jobs/{JOB_ID}/chunks/{number:06d}.jsonl",
            "form": "jsonl",
            "features": None,
            "named": True,
            "carried": [],
            "request_rows": 2,
            "request_bytes": 1000,
            **data,
        },
    }
    return record(TOPIC, CHUNK.encode(event))


def rows_request(chunk: int, first_row: int, rows: int = 2, deployments: tuple[str, ...] = ("linear",)) -> Record:
    instances = [[float(first_row + at)] for at in range(rows)]
    event: RequestEvent = {
        "specversion": "1.0",
        "id": derived_id(JOB_ID, "rows", str(first_row)),
        "source": f"/predictq/endpoints/{ENDPOINT}",
        "type": "predictq.request.v1",
        "time": wire_time(NOW),
        "data": {
            "endpoint": ENDPOINT,
            "deployments": list(deployments),
            "instances_hash": hash_of(instances),
            "job": {"id": JOB_ID, "chunk": chunk, "first_row": first_row, "rows": rows},
        },
    }
    encoded = b"[%s]" % b",".join(b"[%d.0]" % row[0] for row in instances)
    return record(NAMES.bulk(ENDPOINT), encode_rows(event, encoded, "instances"))


def answer(first_row: int, rows: int = 2, **options: Any) -> Record:
    instances = [[float(first_row + at)] for at in range(rows)]
    outputs = options.pop("outputs", [{"n": first_row + at, "p": {"a": 0.5}} for at in range(rows)])
    return prediction(derived_id(JOB_ID, "rows", str(first_row)), instances=instances, outputs=outputs, **options)


def advanced(database: Database) -> None:
    JobProgress(database, clock=lambda: NOW)()


def body_of(database: Database) -> Any:
    return JobReader(database, clock=lambda: NOW + 10).job(JOB_ID)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_job_is_completed_in_whatever_order_its_events_come(
    database: Database, tmp_path: Path, order: tuple[int, ...]
) -> None:
    ledger, store = make_ledger(database), make_store(database)
    events = [
        [accepted(), job_event("planned", rows=ROWS, chunks=1)],
        [chunk_event(0, "planned", tmp_path), chunk_event(0, "cut", tmp_path, requests=2, refused=0)],
        [rows_request(0, 0), rows_request(0, 2)],
    ]
    for at in order:
        ledger.handle(events[at])
        ledger.handle(events[at])
        advanced(database)
    assert body_of(database)["status"] != "completed"

    store.handle([answer(0)])
    advanced(database)
    assert body_of(database)["counts"] == {
        "total": 4,
        "succeeded": 2,
        "failed": 0,
        "expired": 0,
        "cancelled": 0,
        "queued": 2,
    }
    store.handle([answer(2)])
    advanced(database)
    advanced(database)

    body = body_of(database)
    assert (body["status"], body["counts"]["succeeded"], body["counts"]["queued"]) == ("completed", 4, 0)
    assert (body["source"], body["metadata"]) == ("rows.csv", {"order": "7"})
    [chunk] = rows_of(database, "chunks", "number")
    assert (chunk["state"], chunk["succeeded"], chunk["failed"]) == ("done", 4, 0)


def test_rows_are_counted_by_what_became_of_them(database: Database, tmp_path: Path) -> None:
    ledger, store = make_ledger(database), make_store(database)
    both = ("linear", "forest")
    ledger.handle([accepted(), chunk_event(0, "planned", tmp_path), job_event("planned", rows=ROWS, chunks=1)])
    ledger.handle([chunk_event(0, "cut", tmp_path, requests=1, refused=1)])
    ledger.handle([rows_request(0, 0, 3, both)])
    faults = [{"index": 1, "type": "invalid_input", "detail": "mean radius: should be a number"}]
    outputs = [{"n": 1}, None, {"n": 3}]
    storage = Storage(f"file://{tmp_path}", {})
    with storage.writing("jobs", JOB_ID, "refused", "000000.jsonl") as stream:
        stream.write(b'{"row": 3, "column": null, "reason": "is not JSON", "text": "{"}\n')
    with storage.writing("jobs", JOB_ID, "chunks", "000000.jsonl") as stream:
        stream.write(b'[0.0]\n{"mean radius": "x"}\n[2.0]\n{')

    store.handle([answer(0, 3, outputs=outputs, errors=faults, status="partial")])
    store.handle([answer(0, 3, deployment="forest")])
    advanced(database)

    counts = body_of(database)["counts"]
    assert (counts["succeeded"], counts["failed"], counts["queued"]) == (2, 2, 0)
    results = JobResults(database, storage)
    [page] = results.pages(JOB_ID)
    assert page.statuses == ["succeeded", "failed", "succeeded", "failed"]
    assert page.outputs["linear"].values == [{"n": 1}, None, {"n": 3}, None]
    assert results.deployments(JOB_ID) == ["forest", "linear"]
    [lines] = write_errors(results.errors(JOB_ID))
    assert [from_json(line) for line in lines.splitlines()] == [
        {
            "row": 2,
            "column": "mean radius",
            "reason": "should be a number",
            "deployment": "linear",
            "value": {"mean radius": "x"},
        },
        {"row": 4, "column": None, "reason": "is not JSON", "deployment": None, "value": "{"},
    ]


def test_results_are_the_same_in_every_form(database: Database, tmp_path: Path) -> None:
    ledger, store = make_ledger(database), make_store(database)
    ledger.handle([accepted(), job_event("planned", rows=2 * ROWS, chunks=2)])
    for number in range(2):
        ledger.handle([chunk_event(number, "cut", tmp_path, requests=2, refused=0)])
        ledger.handle([rows_request(number, number * ROWS + at) for at in (0, 2)])
    store.handle([answer(first) for first in (0, 2, 4)])
    results = JobResults(database, Storage(f"file://{tmp_path}", {}))

    csv_text = b"".join(write_results(results.pages(JOB_ID), ["linear"], "csv")).decode()
    lines = b"".join(write_results(results.pages(JOB_ID), ["linear"], "jsonl")).splitlines()
    table = pq.read_table(io.BytesIO(b"".join(write_results(results.pages(JOB_ID), ["linear"], "parquet"))))

    assert csv_text.splitlines()[:2] == ["row,status,n,p.a,error", "1,succeeded,0,0.5,"]
    assert csv_text.splitlines()[-1] == "8,queued,,,"
    assert table.column_names == ["row", "status", "n", "p.a", "error"]
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4, 5, None, None]
    rows = [from_json(line) for line in lines]
    assert [row["row"] for row in rows] == table["row"].to_pylist() == list(range(1, 9))
    assert rows[3] == {"row": 4, "status": "succeeded", "outputs": {"linear": {"n": 3, "p": {"a": 0.5}}}, "error": None}
    assert [row["status"] for row in rows] == table["status"].to_pylist()


def test_what_is_kept_may_be_called_like_a_column_of_ours(database: Database, tmp_path: Path) -> None:
    ledger = make_ledger(database)
    kept = {"requests": 2, "refused": 0, "carried": ["status", "row"]}
    ledger.handle([accepted(), chunk_event(0, "cut", tmp_path, **kept), rows_request(0, 0), rows_request(0, 2)])
    storage = Storage(f"file://{tmp_path}", {})
    with storage.writing("jobs", JOB_ID, "chunks", "000000.jsonl") as stream:
        stream.write(b"\n".join(b'{"status": "new", "row": %d}' % at for at in range(70, 74)))
    make_store(database).handle([answer(0), answer(2)])
    results = JobResults(database, storage)

    text = b"".join(write_results(results.pages(JOB_ID), ["linear"], "csv")).decode().splitlines()
    parquet = b"".join(write_results(results.pages(JOB_ID), ["linear"], "parquet"))
    table = pq.ParquetFile(io.BytesIO(parquet)).read()

    assert text[:2] == ["row,status,row,status,n,p.a,error", "1,new,70,succeeded,0,0.5,"]
    assert table.column_names == ["row", "status", "row", "status", "n", "p.a", "error"]
    assert table.column(2).to_pylist() == [70.0, 71.0, 72.0, 73.0]


def test_a_job_without_any_answer_has_a_file_of_results(database: Database, tmp_path: Path) -> None:
    make_ledger(database).handle([accepted()])
    results = JobResults(database, Storage(f"file://{tmp_path}", {}))

    assert b"".join(write_results(results.pages(JOB_ID), [], "csv")) == b"row,status,error\n"
    parquet = b"".join(write_results(results.pages(JOB_ID), [], "parquet"))
    assert pq.read_table(io.BytesIO(parquet)).num_rows == 0


def test_a_cancelled_job_answers_nothing_more(database: Database, tmp_path: Path) -> None:
    ledger, store = make_ledger(database), make_store(database)
    ledger.handle([accepted(), job_event("planned", rows=2 * ROWS, chunks=2), chunk_event(1, "planned", tmp_path)])
    ledger.handle([chunk_event(0, "cut", tmp_path, requests=2, refused=0), rows_request(0, 0), rows_request(0, 2)])
    store.handle([answer(0)])
    reader = JobReader(database, clock=lambda: NOW)

    body, ids = reader.cancel(JOB_ID)

    assert body is not None
    assert (body["status"], body["counts"]["succeeded"], body["counts"]["cancelled"]) == ("cancelled", 2, 6)
    assert ids == [derived_id(JOB_ID, "rows", "2")]
    ledger.handle([rows_request(1, 4)])  # a cutter had it in hand
    advanced(database)
    store.handle([answer(4), answer(2)])
    assert body_of(database)["counts"]["cancelled"] == 6
    assert reader.cancel(JOB_ID)[1] == []


def test_a_file_that_breaks_off_keeps_what_was_read_of_it(database: Database, tmp_path: Path) -> None:
    ledger, store = make_ledger(database), make_store(database)
    ledger.handle([accepted(), chunk_event(0, "planned", tmp_path), job_event("failed", reason="it ends here")])
    ledger.handle([chunk_event(0, "cut", tmp_path, requests=2, refused=0), rows_request(0, 0), rows_request(0, 2)])
    store.handle([answer(0), answer(2)])
    advanced(database)

    body = body_of(database)
    assert (body["status"], body["reason"]) == ("failed", "it ends here")
    assert (body["counts"]["total"], body["counts"]["succeeded"]) == (4, 4)


def test_an_event_on_the_topic_of_another_endpoint_is_dead(database: Database) -> None:
    event = accepted()

    outcome = make_ledger(database).handle([event._replace(value=event.value.replace(b'"tumours"', b'"what"'))])

    assert isinstance(outcome.verdicts[0], Dead)
    assert rows_of(database, "jobs", "id") == []


def test_a_job_goes_with_its_files_when_it_is_old(database: Database, tmp_path: Path) -> None:
    ledger = make_ledger(database)
    ledger.handle([accepted(), chunk_event(0, "planned", tmp_path), rows_request(0, 0), job_event("failed", reason="")])
    storage = Storage(f"file://{tmp_path}", {})
    with storage.writing("jobs", JOB_ID, "input"):
        pass
    forget = forgetting(database, storage)

    assert (forget(wire_time(NOW)), old_jobs(database, wire_time(NOW))) == (0, 0)
    assert old_jobs(database, wire_time(NOW + 1)) == 1
    assert forget(wire_time(NOW + 1)) == 1

    assert not (tmp_path / "jobs" / JOB_ID).exists()
    assert [rows_of(database, table, "job_id") for table in ("chunks", "job_requests")] == [[], []]
    assert body_of(database) is None


def test_what_a_job_under_a_key_was_made_of_is_known_to_every_replica(database: Database) -> None:
    source = {"url": "file:///rows.csv", "name": "rows.csv"}
    first, other = hash_of([1]), hash_of([2])
    assert JobReader(database).hash_of(JOB_ID) is None
    ledger = make_ledger(database)
    ledger.handle([job_event("accepted", source=source, content_hash=first)])
    ledger.handle([job_event("accepted", source=source, content_hash=other)])

    assert JobReader(database).hash_of(JOB_ID) == first
