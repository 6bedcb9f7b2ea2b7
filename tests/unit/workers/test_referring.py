"""Requests whose instances are in the storage, among others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from tests.unit.workers.conftest import NOW, raw

from predictq.brokers import Dead, Record, Retry
from predictq.cancels import Cancelled
from predictq.errors import Retryable, StorageUnavailable
from predictq.ids import new_id
from predictq.messages import PREDICTION, REQUEST, hash_of, new_request, referring_to
from predictq.names import Names
from predictq.payloads import Payloads
from predictq.storage import Storage

MakeRecord = Callable[..., Record]
MakeHandler = Callable[..., Any]


class Summing:
    """Adds up; is away on 99; remembers the sizes of its calls."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, batch: list[list[float]]) -> list[float]:
        self.sizes.append(len(batch))
        if any(99 in row for row in batch):
            raise Retryable("the feature store is away")
        return [sum(row) for row in batch]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path / 'storage'}", {})


@pytest.fixture
def referring(storage: Storage) -> Callable[..., Record]:
    """A request whose instances were written to the storage."""

    def make(instances: list[Any], *, dataref: str | None = None, content: bytes | None = None, **more: Any) -> Record:
        request = new_request(
            request_id=new_id(), endpoint="tumours", instances=instances, deployments=["mine"], now=NOW - 1, **more
        )
        data = to_json(instances) if content is None else content
        payload = Payloads(storage).new(request["id"], data, hash_of(instances), NOW)
        payload.write()
        return raw(REQUEST.encode(referring_to(dataref or payload.url, request)))

    return make


def test_they_are_answered_as_any_other_and_each_is_a_mini_batch(
    record: MakeRecord, referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    model = Summing()
    records = [record([[1, 2]]), referring([[3, 4], [5, 6]], key="k"), record([[7, 8]]), referring([[9, 10]])]
    got = answered(handler(model, storage=storage), records)

    assert [got.outputs(at) for at in range(4)] == [[3], [7, 11], [15], [19]]
    assert got.messages(1)[0].key == b"k"
    assert got.prediction(1)["data"]["instances_hash"] == hash_of([[3, 4], [5, 6]])
    assert sorted(batch["data"]["size"] for batch in got.batches) == [1, 2, 2]
    assert sorted(model.sizes) == [1, 2, 2]


def test_a_large_one_is_cut_into_calls(
    referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    model = Summing()
    got = answered(handler(model, storage=storage, max_batch_size=4), [referring([[n] for n in range(10)])])
    assert got.outputs() == list(range(10))
    assert model.sizes == [4, 4, 2]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"dataref": "file:///etc/hostname"}, "names no payload below jobs.storage"),
        ({"dataref": "http://127.0.0.1:1/x"}, "names no payload below jobs.storage"),
        ({"dataref": "{storage}/requests/2026-11-30T15/gone.json"}, "not in the storage, or not any more"),
        ({"content": b"[[1]]"}, "holds other instances"),
    ],
)
def test_one_that_cannot_be_read_fails_alone_and_is_a_dead_letter(
    record: MakeRecord,
    referring: MakeRecord,
    handler: MakeHandler,
    answered: Any,
    storage: Storage,
    broken: dict[str, Any],
    said: str,
) -> None:
    if "dataref" in broken:
        broken = {"dataref": broken["dataref"].format(storage=storage.url)}
    records = [record([[1, 2]]), referring([[3]], **broken), referring([[4]])]
    got = answered(handler(Summing(), storage=storage), records)

    assert (got.outputs(0), got.outputs(2)) == ([3], [4])
    dead = got.verdicts[1]
    assert isinstance(dead, Dead)
    assert said in dead.reason
    (message,) = dead.outputs
    failed = PREDICTION.decode(message.value)["data"]
    assert message.topic == Names().predictions("tumours")
    assert failed["status"] == "failed"
    assert [(error["index"], error["type"]) for error in failed["errors"]] == [(None, "unreadable_dataref")]
    assert said in failed["errors"][0]["detail"]


def test_with_none_that_can_be_read_there_is_nothing_to_predict(
    referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    model = Summing()
    worker = handler(model, storage=storage)
    got = answered(worker, [referring([[3]], content=b"[]")])
    assert isinstance(got.verdicts[0], Dead)
    assert (model.sizes, got.batches) == ([], [])
    assert worker.limits().max_messages > 1


def test_one_larger_than_the_bound_is_refused(
    referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    got = answered(handler(Summing(), storage=storage, max_payload_bytes=2000), [referring([[1] * 2000])])
    assert isinstance(got.verdicts[0], Dead)
    assert "more than 2000 bytes" in got.verdicts[0].reason


def test_a_storage_that_is_away_is_nobodys_fault_and_nothing_was_predicted_yet(
    record: MakeRecord, referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage, tmp_path: Path
) -> None:
    model = Summing()
    worker = handler(model, storage=storage)
    records = [record([[1, 2]]), referring([[3]])]
    (tmp_path / "storage").rename(tmp_path / "away")
    with pytest.raises(StorageUnavailable):
        worker.handle(records)
    assert model.sizes == []

    (tmp_path / "away").rename(tmp_path / "storage")
    got = answered(worker, records)
    assert (got.outputs(0), got.outputs(1)) == ([3], [3])


def test_the_deadline_and_a_cancellation_are_seen_before_anything_is_read(
    referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    expired = referring([[1]], dataref="file:///etc/hostname", deadline=NOW - 1)
    got = answered(handler(Summing(), storage=storage), [expired])
    assert got.prediction()["data"]["status"] == "expired"

    record = referring([[1]], dataref="file:///etc/hostname")
    cancelled = Cancelled()
    cancelled.add([REQUEST.decode(record.value)["id"]])
    got = answered(handler(Summing(), storage=storage, cancelled=cancelled), [record])
    assert got.messages() == ()


def test_what_the_model_cannot_answer_now_comes_again(
    referring: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    got = answered(handler(Summing(), storage=storage), [referring([[99]])])
    assert isinstance(got.verdicts[0], Retry)


def test_one_that_ended_its_process_is_answered_without_being_read(
    referring: MakeRecord, handler: MakeHandler, storage: Storage
) -> None:
    (message,) = handler(Summing(), storage=storage).buried(referring([[1]]), "ended the process")
    assert PREDICTION.decode(message.value)["data"]["status"] == "failed"


def test_instances_beside_a_dataref_are_used_as_they_are(
    record: MakeRecord, handler: MakeHandler, answered: Any, storage: Storage
) -> None:
    event = REQUEST.decode(record([[1, 2]]).value)
    event["dataref"] = "file:///etc/hostname"
    got = answered(handler(Summing(), storage=storage), [raw(REQUEST.encode(event))])
    assert got.outputs() == [3]
