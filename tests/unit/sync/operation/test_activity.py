"""What mini-batches tell of the deployments of an endpoint."""

from typing import Any

import pytest
from tests.unit.sync.conftest import NAMES, NOW, record, rows_of

from predictq.clock import wire_time
from predictq.messages import BATCH
from predictq_sync.database import Database
from predictq_sync.operation.activity import Activity, ActivityReader, DeploymentActivity, Window
from predictq_sync.store import Store

END = int(NOW) // 2 * 2
"""Of the last step of two seconds that is over."""


def _store(store: Store, *batches: dict[str, Any]) -> None:
    records = []
    for number, told in enumerate(batches):
        finished = told.pop("finished", END - 1)
        data = {
            "endpoint": "tumours",
            "deployment": "linear",
            "model_version": "7",
            "worker": "host-1-abc",
            "requests": 1,
            "size": 10,
            "ingested_at": wire_time(finished - told.pop("latency", 2.0)),
            "started_at": wire_time(finished - told.pop("predict", 0.5)),
            "finished_at": wire_time(finished),
            "status": "succeeded",
            **told,
        }
        event: Any = {
            "specversion": "1.0",
            "id": f"batch-{number}",
            "source": "/predictq/endpoints/tumours",
            "time": wire_time(finished),
            "type": "predictq.batch.v1",
            "data": data,
        }
        records.append(record(NAMES.predictions("tumours"), BATCH.encode(event)))
    store.handle(records)


def _read(database: Database, seconds: float = 300, now: float = NOW) -> Activity:
    return ActivityReader(database, lambda: now).activity("tumours", Window.of(seconds), ["linear", "silent"])


def _linear(activity: Activity) -> DeploymentActivity:
    return activity["deployments"][0]


@pytest.mark.parametrize(
    ("seconds", "window"),
    [
        (10, (1, 10)),
        (10.2, (1, 11)),
        (150, (1, 150)),
        (151, (2, 76)),
        (300, (2, 150)),
        (1000, (10, 100)),
        (3600, (30, 120)),
    ],
)
def test_a_window_has_at_most_150_steps(seconds: float, window: tuple[int, int]) -> None:
    assert Window.of(seconds) == window


def test_steps_are_aligned_to_the_clock_and_end_before_now(database: Database) -> None:
    activity = _read(database)

    assert (activity["begin"], activity["end"]) == (wire_time(END - 300), wire_time(END))
    assert activity["step_seconds"] == 2.0
    assert _read(database, now=END + 1.999)["end"] == activity["end"]
    assert _read(database, now=END + 2)["end"] == wire_time(END + 2)


def test_deployments_without_mini_batches_are_told_all_the_same(database: Database) -> None:
    silent = _read(database)["deployments"][1]

    assert silent["name"] == "silent"
    assert silent["requests"] == silent["instances"] == silent["batches"] == silent["failed_batches"] == [0] * 150
    assert silent["batch_size"] == silent["predict_seconds"] == [None] * 150
    assert silent["latency_seconds"] == {"p50": None, "p90": None, "p99": None, "of": 0}


def test_a_step_sums_what_ended_within_it(store: Store, database: Database) -> None:
    _store(
        store,
        {"requests": 3, "size": 30, "predict": 0.25, "finished": END - 2.0},
        {"requests": 1, "size": 11, "predict": 0.5, "finished": END - 0.001, "status": "failed"},
        {"requests": 5, "size": 50, "predict": 1.0, "finished": END - 2.001, "status": "partial"},
    )

    linear = _linear(_read(database))

    assert (linear["requests"][-2:], sum(linear["requests"])) == ([5, 4], 9)
    assert linear["instances"][-2:] == [50, 41]
    assert linear["batches"][-2:] == [1, 2]
    assert linear["batch_size"][-3:] == [None, 50.0, 20.5]
    assert linear["predict_seconds"][-3:] == [None, 1.0, 0.375]
    assert linear["failed_batches"][-2:] == [0, 1]


def test_what_lies_outside_is_left_out(store: Store, database: Database) -> None:
    _store(
        store,
        {"finished": END},
        {"finished": END - 300.001},
        {"finished": END - 300, "requests": 7},
    )

    linear = _linear(_read(database))

    assert (linear["requests"][0], sum(linear["requests"])) == (7, 7)
    assert linear["latency_seconds"]["of"] == 7


def test_percentiles_count_each_request(store: Store, database: Database) -> None:
    _store(
        store,
        {"requests": 90, "latency": 1.0},
        {"requests": 9, "latency": 2.0},
        {"requests": 1, "latency": 86_400.5},
    )

    assert _linear(_read(database))["latency_seconds"] == {"p50": 1.0, "p90": 1.0, "p99": 2.0, "of": 100}

    _store(store, *[{} for _ in range(3)], {"requests": 1, "latency": 9.0})
    assert _linear(_read(database))["latency_seconds"] == {"p50": 1.0, "p90": 2.0, "p99": 9.0, "of": 101}


def test_clocks_that_disagree_and_times_that_are_none_do_no_harm(store: Store, database: Database) -> None:
    _store(
        store,
        {"requests": 2, "latency": -3.0, "predict": -1.0},
        {"requests": 3, "started_at": "2026-13-45T99:99:99.999Z"},
    )

    linear = _linear(_read(database))

    assert linear["requests"][-1] == 2
    assert linear["predict_seconds"][-1] == 0.0
    assert linear["latency_seconds"] == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "of": 2}
    assert len(rows_of(database, "batches", "id")) == 2


def test_other_endpoints_are_left_out(store: Store, database: Database) -> None:
    _store(store, {"requests": 2})

    other = ActivityReader(database, lambda: NOW).activity("fraud", Window.of(300), [])

    assert other["deployments"] == []
