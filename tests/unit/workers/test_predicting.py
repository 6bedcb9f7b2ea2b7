"""The worker's handler: requests in, predictions out."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, FiniteFloat
from sklearn.linear_model import LogisticRegression

from predictq.brokers import Dead, Done, Record, Retry
from predictq.cancels import Cancelled
from predictq.errors import Retryable
from predictq.messages import PREDICTION, prediction_id
from predictq.names import Names
from predictq_workers.sklearn_model import SklearnModel

NAMES = Names()
MakeRecord = Callable[..., Record]
MakeHandler = Callable[..., Any]


class Doubling:
    """Doubles; raises on 13, is away on 99; remembers the sizes of its calls."""

    class Input(BaseModel):
        x: FiniteFloat

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, batch: list[Input]) -> list[float]:
        self.sizes.append(len(batch))
        if any(one.x == 13 for one in batch):
            raise ValueError("13 is bad luck")
        if any(one.x == 99 for one in batch):
            raise Retryable("the feature store is away")
        return [2 * one.x for one in batch]


def x(*values: Any) -> list[Any]:
    return [{"x": value} for value in values]


def test_each_request_gets_one_prediction(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    records = [record(x(1, 2)), record(x(3), key="patient-17")]
    got = answered(handler(Doubling(), version="v7"), records)

    first, second = got.prediction(0), got.prediction(1)
    assert first["data"]["status"] == "succeeded"
    assert (first["data"]["outputs"], second["data"]["outputs"]) == ([2.0, 4.0], [6.0])
    assert first["id"] == prediction_id(first["data"]["request_id"], "mine", 0)
    assert (first["data"]["deployment"], first["data"]["model_version"]) == ("mine", "v7")
    assert [message.topic for message in (*got.messages(0), *got.messages(1))] == [NAMES.predictions("tumours")] * 2
    assert [got.messages(0)[0].key, got.messages(1)[0].key] == [None, b"patient-17"]


def test_an_estimator_is_served(
    record: MakeRecord, handler: MakeHandler, answered: Any, linear: LogisticRegression
) -> None:
    model = SklearnModel(linear, "linear")
    got = answered(handler(model), [record([[9.0, 0, 0]]), record([[-9.0, 0, 0], [0.0]])])
    assert got.outputs(0)[0]["label"] == 1
    assert got.outputs(1)[0]["label"] == 0
    assert got.prediction(1)["data"]["status"] == "partial"
    assert got.prediction(1)["data"]["errors"] == [
        {"index": 1, "type": "invalid_input", "detail": "should have 3 features, has 1"}
    ]


def test_requests_are_predicted_together_and_recorded_once(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    model = Doubling()
    records = [record(x(1, 2), published_at=1000.5), record(x(3), published_at=1000.25)]
    got = answered(handler(model, version="v7"), records)

    assert model.sizes == [3]
    (batch,) = got.batches
    assert batch["id"] == got.prediction(0)["data"]["batch_id"] == got.prediction(1)["data"]["batch_id"]
    assert batch["data"] == {
        "endpoint": "tumours",
        "deployment": "mine",
        "model_version": "v7",
        "worker": "here-1-abc",
        "requests": 2,
        "size": 3,
        "ingested_at": "1970-01-01T00:16:40.250Z",
        "started_at": "2026-11-30T15:04:05.000Z",
        "finished_at": "2026-11-30T15:04:05.000Z",
        "status": "succeeded",
    }
    assert got.batch_topics == [NAMES.predictions("tumours")]


def test_a_poll_is_cut_into_mini_batches_and_a_large_request_is_one(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    model = Doubling()
    records = [record(x(1, 2)), record(x(3, 4)), record(x(*range(20, 30))), record(x(5))]
    got = answered(handler(model, max_batch_size=4), records)

    assert model.sizes == [4, 4, 4, 2, 1]
    assert [batch["data"]["size"] for batch in got.batches] == [4, 10, 1]
    assert got.outputs(2) == [2.0 * value for value in range(20, 30)]
    assert [got.prediction(at)["data"]["batch_id"] for at in range(4)] == [
        got.batches[index]["id"] for index in (0, 0, 1, 2)
    ]


def test_invalid_instances_never_reach_the_model(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    model = Doubling()
    got = answered(handler(model), [record(x(1, "two", 3)), record(x("no")), record(x(4))])

    assert model.sizes == [3]
    partial, failed = got.prediction(0)["data"], got.prediction(1)["data"]
    assert (partial["status"], partial["outputs"]) == ("partial", [2.0, None, 6.0])
    assert [(error["index"], error["type"]) for error in partial["errors"]] == [(1, "invalid_input")]
    assert partial["errors"][0]["detail"].startswith("x: Input should be a valid number")
    assert (failed["status"], failed["outputs"], failed["batch_id"]) == ("failed", [None], None)
    assert got.outputs(2) == [8.0]
    (batch,) = got.batches
    assert (batch["data"]["requests"], batch["data"]["size"], batch["data"]["status"]) == (2, 3, "succeeded")


def test_nothing_valid_means_no_call_and_no_batch(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    model = Doubling()
    got = answered(handler(model), [record(x("no")), record([[]])])
    assert (model.sizes, got.batches) == ([], [])
    assert [got.prediction(at)["data"]["status"] for at in (0, 1)] == ["failed", "failed"]


def test_a_model_that_raises_fails_the_culprit_alone(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    got = answered(handler(Doubling()), [record(x(1)), record(x(2, 13)), record(x(13)), record(x(3))])

    assert [got.prediction(at)["data"]["status"] for at in range(4)] == ["succeeded", "partial", "failed", "succeeded"]
    assert got.outputs(1) == [4.0, None]
    (error,) = got.prediction(2)["data"]["errors"]
    assert error == {"index": 0, "type": "model_error", "detail": "ValueError: 13 is bad luck"}
    (batch,) = got.batches
    assert batch["data"]["status"] == "partial"
    assert got.prediction(2)["data"]["batch_id"] == batch["id"]


@pytest.mark.parametrize(("attempt", "least", "most"), [(1, 1.0, 2.0), (2, 2.0, 4.0), (3, 2.5, 5.0)])
def test_a_retryable_error_is_retried_later_and_later(
    record: MakeRecord, handler: MakeHandler, answered: Any, attempt: int, least: float, most: float
) -> None:
    model = Doubling()
    making = handler(model, retry_seconds=2.0, retry_max_seconds=5.0, max_attempts=4)
    got = answered(making, [record(x(99), headers={"attempt": str(attempt)}), record(x(1))])

    assert model.sizes == [2]
    for verdict in got.verdicts[:1]:
        assert isinstance(verdict, Retry)
        assert least <= verdict.after_seconds <= most
    assert isinstance(got.verdicts[1], Retry)
    assert got.batches[0]["data"]["status"] == "failed"


def test_when_its_attempts_are_spent_it_is_dead_and_failed(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    got = answered(handler(Doubling(), max_attempts=3), [record(x(99), headers={"attempt": "3", "redrive": "2"})])

    (verdict,) = got.verdicts
    assert isinstance(verdict, Dead)
    assert "3 attempts" in verdict.reason
    assert "the feature store is away" in verdict.reason
    data = PREDICTION.decode(verdict.outputs[0].value)["data"]
    assert (data["status"], data["redrive"], data["outputs"]) == ("failed", 2, [])
    assert data["batch_id"] == got.batches[0]["id"]
    assert data["errors"] == [{"index": None, "type": "model_unavailable", "detail": verdict.reason}]


def test_a_request_with_a_retryable_and_a_bad_instance_is_retried(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    got = answered(handler(Doubling(), max_batch_size=1), [record(x(99, 13)), record(x(1))])
    assert isinstance(got.verdicts[0], Retry)
    assert got.outputs(1) == [2.0]


def test_what_was_sent_again_by_an_operator_has_another_id(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    got = answered(handler(Doubling()), [record(x(1), headers={"redrive": "1"})])
    prediction = got.prediction()
    assert prediction["data"]["redrive"] == 1
    assert prediction["id"] == prediction_id(prediction["data"]["request_id"], "mine", 1)


def test_a_deployment_that_is_not_listed_stays_silent(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    model = Doubling()
    got = answered(handler(model), [record(x(1), deployments=["other"]), record(x(2))])
    assert got.verdicts[0] == Done()
    assert got.outputs(1) == [4.0]
    assert model.sizes == [1]


def test_a_shadow_answers_everything_and_the_list_decides_where(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    records = [record(x(1), deployments=["live"]), record(x(2), deployments=["live", "mine"])]
    got = answered(handler(Doubling(), role="shadow"), records)
    assert [got.messages(at)[0].topic for at in (0, 1)] == [
        NAMES.shadow_predictions("tumours"),
        NAMES.predictions("tumours"),
    ]


def test_past_its_deadline_a_request_is_expired_unpredicted(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    model = Doubling()
    now = 1_796_051_045.0
    got = answered(handler(model), [record(x(1), deadline=now - 0.001), record(x(2), deadline=now + 0.001)])
    data = got.prediction(0)["data"]
    assert (data["status"], data["outputs"], data["batch_id"]) == ("expired", [], None)
    assert got.outputs(1) == [4.0]
    assert model.sizes == [1]


def test_what_was_cancelled_is_skipped(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    cancelled = Cancelled()
    cancelled.add(["019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90"])
    records = [record(x(1), request_id="019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90"), record(x(2))]
    got = answered(handler(Doubling(), cancelled=cancelled), records)
    assert got.verdicts[0] == Done()
    assert got.outputs(1) == [4.0]


def test_rows_of_a_cancelled_job_are_skipped_whatever_their_ids(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    cancelled = Cancelled()
    cancelled.add(["019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e91"])
    plain = record(x(1))
    place = b'"job":{"id":"019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e91","chunk":0,"first_row":0,"rows":1},"deployments":'
    got = answered(
        handler(Doubling(), cancelled=cancelled),
        [plain._replace(value=plain.value.replace(b'"deployments":', place)), record(x(2))],
    )
    assert got.verdicts[0] == Done()
    assert got.outputs(1) == [4.0]


def test_what_is_no_request_is_acknowledged_and_its_neighbours_are_answered(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    good = record(x(1))
    junk = [good._replace(value=value) for value in (b"", b"\xff\x00", b"[]", b'{"specversion":"1.0"}', b"[" * 9999)]
    got = answered(handler(Doubling()), [*junk, good])
    assert list(got.verdicts[:5]) == [Done()] * 5
    assert got.outputs(5) == [2.0]


def test_an_output_that_is_too_large_never_wedges_its_neighbours(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    class Echo:
        def predict(self, batch: list[Any]) -> list[Any]:
            return ["x" * one[0] for one in batch]

    got = answered(handler(Echo(), max_message_bytes=2000), [record([[5000]]), record([[3]])])
    assert got.prediction(0)["data"]["errors"][0]["type"] == "output_too_large"
    assert got.outputs(1) == ["xxx"]


@pytest.mark.parametrize("bad", [float("nan"), object(), {"a": float("inf")}, "\ud800"])
def test_an_output_that_is_not_json_fails_alone(
    record: MakeRecord, handler: MakeHandler, answered: Any, bad: Any
) -> None:
    class Odd:
        def predict(self, batch: list[Any]) -> list[Any]:
            return [bad if one == [0] else 1 for one in batch]

    got = answered(handler(Odd()), [record([[0], [1]]), record([[1]])])
    data = got.prediction(0)["data"]
    assert (data["status"], data["outputs"]) == ("partial", [None, 1])
    assert data["errors"][0]["type"] == "bad_output"
    assert got.outputs(1) == [1]


def test_a_dead_letter_has_a_failed_prediction_beside_it(record: MakeRecord, handler: MakeHandler) -> None:
    making = handler(Doubling())
    (message,) = making.buried(record(x(1), headers={"redrive": "3"}), "it ended the process")
    data = PREDICTION.decode(message.value)["data"]
    assert (data["status"], data["redrive"]) == ("failed", 3)
    assert data["errors"] == [{"index": None, "type": "dead_letter", "detail": "it ended the process"}]
    assert making.buried(record(x(1), deployments=["other"]), "why") == ()
    assert making.buried(record(x(1))._replace(value=b"junk"), "why") == ()


def test_a_poll_grows_to_about_one_mini_batch(record: MakeRecord, handler: MakeHandler, answered: Any) -> None:
    making = handler(Doubling(), max_batch_size=300, max_batch_wait_seconds=0.25)
    assert making.limits() == (300, 1 << 20, 0.25)
    answered(making, [record(x(*range(14, 24))), record(x(*range(14, 24)))])
    assert making.limits().max_messages == 30
    answered(making, [record(x(1))])
    assert making.limits().max_messages == 300
    answered(making, [record([["x" * 30_000]])])
    assert making.limits().max_bytes == 8 << 20


def test_a_request_on_the_wrong_topic_is_left_to_the_ledger(
    record: MakeRecord, handler: MakeHandler, answered: Any
) -> None:
    stray = record(x(1))
    stray = stray._replace(value=stray.value.replace(b'"endpoint":"tumours"', b'"endpoint":"another"'))
    model = Doubling()
    got = answered(handler(model), [stray])
    assert list(got.verdicts) == [Done()]
    assert model.sizes == []
