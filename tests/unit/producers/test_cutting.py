"""A chunk becomes requests: packed where its features are numbers, and the same rows in any case."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictq.brokers import NO_HEADERS, Done, Record
from predictq.chunkfile import write_table
from predictq.messages import CHUNK, REQUEST, ChunkData, RequestData, encode_packed, unpack
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, Settings
from predictq.storage import Storage
from predictq_producers.jobs.cutting import ENVELOPE_BYTES, Cutter
from predictq_producers.jobs.events import chunk_message
from predictq_producers.requests import request_makers

SETTINGS = Settings(
    endpoints={"sums": EndpointSettings()},
    deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
)
NUMBERS = {"a": [1.5, -2.0, 3.25], "b": [1, 2, 3]}


class Cut:
    """The requests of one chunk, and what was said of it."""

    def __init__(self, folder: Path) -> None:
        self._storage = Storage(f"file://{folder}/storage", {})
        self._cutter = Cutter(
            names=Names(),
            makers=request_makers(SETTINGS, max_message_bytes=1 << 20),
            storage=self._storage,
            room=lambda _: None,
        )

    def __call__(
        self, table: Any, refused: tuple[tuple[int, str, str], ...] = (), **data: Any
    ) -> tuple[list[RequestData], ChunkData]:
        with self._storage.writing("jobs", "j", "0.arrow") as stream:
            write_table(stream, table, refused)
        chunk: ChunkData = {
            "job_id": "j",
            "endpoint": "sums",
            "state": "planned",
            "number": 0,
            "first_row": 100,
            "rows": table.num_rows + len(refused),
            "url": self._storage.url_of("jobs", "j", "0.arrow"),
            "form": "arrow",
            "features": table.column_names,
            "named": True,
            "carried": [],
            "request_rows": 500,
            "request_bytes": 1 << 20,
            "packed": True,
            **data,  # type: ignore[typeddict-item]
        }
        message = chunk_message(Names(), chunk)
        record = Record(message.topic, 0, "0", message.value, None, NO_HEADERS, 0.0, 0)
        [verdict] = self._cutter.handle([record]).verdicts
        assert isinstance(verdict, Done)
        *requests, said = verdict.outputs
        return [REQUEST.decode(each.value)["data"] for each in requests], CHUNK.decode(said.value)["data"]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    return Cut(tmp_path_factory.mktemp("cut"))


def instances_of(requests: list[RequestData]) -> list[Any]:
    found: list[Any] = []
    for request in requests:
        found += unpack(request["packed"]).instances() if "packed" in request else request["instances"]
    return found


def test_numbers_travel_as_columns(cut: Cut) -> None:
    [request], said = cut(pa.table(NUMBERS))
    assert request["packed"]["types"] == ["float64", "int64"]
    assert repr(instances_of([request])) == "[{'a': 1.5, 'b': 1}, {'a': -2.0, 'b': 2}, {'a': 3.25, 'b': 3}]"
    assert request["job"] == {"id": "j", "chunk": 0, "first_row": 100, "rows": 3}
    assert (said["requests"], said["refused"]) == (1, 0)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x", "y", "z"]),
        pa.array([1, None, 3]),
        pa.array([1.0, float("nan"), 3.0]),
        pa.array([1.0, float("inf"), 3.0]),
        pa.array([True, False, True]),
        pa.array([2**63, 1, 2], pa.uint64()),
        pa.array([[1.0], [2.0], [3.0]]),
    ],
    ids=lambda column: str(column.type),
)
def test_anything_else_travels_as_instances(cut: Cut, column: Any) -> None:
    requests, _ = cut(pa.table({**NUMBERS, "c": column}))
    assert requests
    assert all("packed" not in request for request in requests)


def test_a_chunk_may_say_that_it_wants_instances(cut: Cut) -> None:
    [request], _ = cut(pa.table(NUMBERS), packed=False, named=False)
    assert request["instances"] == [[1.5, 1], [-2.0, 2], [3.25, 3]]


def test_a_row_that_was_refused_parts_the_requests(cut: Cut) -> None:
    requests, said = cut(pa.table(NUMBERS), refused=((1, "is ragged", "9,9,9"),))
    assert [(each["job"]["first_row"], each["job"]["rows"]) for each in requests] == [(100, 1), (102, 2)]
    assert (said["requests"], said["refused"]) == (2, 1)


def test_no_request_is_larger_than_the_chunk_says(cut: Cut) -> None:
    room = 1000
    table = pa.table({f"c{at}": [float(at)] * 100 for at in range(10)})
    requests, _ = cut(table, request_bytes=ENVELOPE_BYTES + room)
    assert instances_of(requests) == table.to_pylist()
    assert all(len(encode_packed(each["packed"])) <= room + 200 for each in requests)


WIDTHS = {pa.float32(): 24, pa.float64(): 53, pa.int8(): 7, pa.int64(): 63, pa.uint32(): 32}


@settings(deadline=None)
@given(data=st.data(), rows=st.integers(1, 7), named=st.booleans(), most=st.integers(1, 4))
def test_packed_or_not_it_is_the_same_rows(cut: Cut, data: st.DataObject, rows: int, named: bool, most: int) -> None:
    columns = {}
    for at in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from([*WIDTHS]))
        values = (
            st.floats(width=32 if kind == pa.float32() else 64)
            if pa.types.is_floating(kind)
            else st.integers(0 if kind == pa.uint32() else -(2 ** WIDTHS[kind]), 2 ** WIDTHS[kind] - 1)
        )
        columns[f"c{at}"] = pa.array(data.draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    table = pa.table(columns)
    one, said = cut(table, named=named, request_rows=most)
    other, told = cut(table, named=named, request_rows=most, packed=False)
    assert repr(instances_of(one)) == repr(instances_of(other))
    assert [each["job"] for each in one] == [each["job"] for each in other]
    assert said["refused"] == told["refused"]
