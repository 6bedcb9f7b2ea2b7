"""`predictq worker` as its users start it: what goes wrong stays where it went wrong."""

from typing import Any

import joblib
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from predictq.brokers import Message
from predictq.names import Names

NAMES = Names()


def stopped(worker: Any) -> int:
    worker.tell_to_stop()
    code: int = worker.ended()
    return code


def test_requests_are_answered_and_it_stops_when_told(place: Any) -> None:
    ids = place.submit(["a", "b"], ["c"])
    worker = place.worker()
    answers = place.answers(2)
    assert [answers[id_]["data"]["outputs"] for id_ in ids] == [["A", "B"], ["C"]]
    assert stopped(worker) == 0
    assert place.waiting() == 0


def test_a_worker_may_be_the_first_process_of_an_installation(place: Any) -> None:
    place.settings_file.write_text(place.settings_file.read_text().replace("broker.db", "new/broker.db"))
    worker = place.worker()
    place.wait_until(lambda: "ready" in worker.said() or worker.process.poll() is not None, "ready, or ended")
    assert worker.process.poll() is None
    assert stopped(worker) == 0


def test_an_estimator_from_a_file_is_served(place: Any) -> None:
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"]), place.folder / "m.joblib")
    place.settings_file.write_text(place.settings_file.read_text().replace("own_model:Own", "m.joblib"))
    (id_,) = place.submit(["9"])
    place.worker()
    assert place.answers(1)[id_]["data"]["errors"][0]["type"] == "invalid_input"


def test_a_model_that_raises_fails_the_culprit_alone(place: Any) -> None:
    good, bad, mixed = place.submit(["a"], ["raise"], ["b", "raise"])
    place.worker()
    answers = place.answers(3)
    assert answers[good]["data"]["outputs"] == ["A"]
    assert answers[bad]["data"]["errors"] == [{"index": 0, "type": "model_error", "detail": "ValueError: no such word"}]
    assert (answers[mixed]["data"]["status"], answers[mixed]["data"]["outputs"]) == ("partial", ["B", None])


def test_what_is_away_is_retried_and_then_dead(place: Any) -> None:
    (id_,) = place.submit(["away"])
    place.worker()
    data = place.answers(1)[id_]["data"]
    assert data["status"] == "failed"
    assert "the store is away" in data["errors"][0]["detail"]
    (dead,) = place.dead_letters(1)
    assert dead["dead-attempts"] == "3"
    assert dead["dead-group"] == NAMES.workers("tumours", "mine")


@pytest.mark.faults
def test_an_instance_that_kills_the_process_is_dead_and_its_neighbours_are_answered(place: Any) -> None:
    words = [["a"]] * 10 + [["kill"]] + [["b"]] * 10
    ids = place.submit(*words)
    place.worker("mine", "--processes", "2")
    answers = place.answers(len(ids))

    for id_, (word,) in zip(ids, words, strict=True):
        data = answers[id_]["data"]
        if word == "kill":
            assert (data["status"], data["errors"][0]["type"]) == ("failed", "dead_letter")
            assert "ended the process" in data["errors"][0]["detail"]
        else:
            assert data["outputs"] == [word.upper()]
    (dead,) = place.dead_letters(1)
    assert dead["dead-attempts"] == "1"
    assert place.waiting() == 0


@pytest.mark.faults
def test_a_predict_call_that_hangs_ends_the_process(place: Any) -> None:
    place.configure("max_predict_seconds = 0.5\n")
    place.submit(["hang"])
    worker = place.worker()
    assert worker.ended() == 70
    assert "one predict call of mine took longer than 0.5 s" in worker.said()


def test_the_batch_in_hand_is_finished_before_it_stops(place: Any) -> None:
    (slow,) = place.submit(["slow"])
    worker = place.worker()
    place.wait_until((place.folder / "predicting").exists, "the batch is in hand")
    worker.tell_to_stop()
    (later,) = place.submit(["later"])
    (place.folder / "go-on").touch()
    assert worker.ended() == 0
    assert place.answers(1).keys() == {slow}
    assert place.waiting() == 1

    place.worker()
    assert place.answers(1).keys() == {later}


def test_what_is_cancelled_while_a_batch_is_in_hand_is_skipped(place: Any) -> None:
    (slow,) = place.submit(["slow"])
    worker = place.worker()
    place.wait_until((place.folder / "predicting").exists, "the batch is in hand")
    place.wait_until(lambda: "ready" in worker.said(), "both of its loops are reading")
    ids = place.submit(["a"], ["b"])
    place.cancel(ids[0])
    place.wait_until(lambda: "1 requests were cancelled" in worker.said(), "the worker has heard of it")
    (place.folder / "go-on").touch()
    assert place.answers(2).keys() == {slow, ids[1]}
    place.wait_until(lambda: place.waiting() == 0, "all are settled")


def test_several_processes_load_once_each_and_stop_together(place: Any) -> None:
    supervisor = place.worker("mine", "--processes", "2")
    place.wait_until(lambda: len(place.loads()) == 2, "both have loaded")
    place.submit(*[["a"]] * 20)
    assert len(place.answers(20)) == 20
    assert stopped(supervisor) == 0
    assert not any(psutil.pid_exists(pid) for pid in place.loads())
    assert len(place.loads()) == 2


def test_a_process_that_dies_is_started_again(place: Any) -> None:
    place.worker("mine", "--processes", "2")
    place.wait_until(lambda: len(place.loads()) == 2, "both have loaded")
    psutil.Process(place.loads()[0]).kill()
    place.wait_until(lambda: len(place.loads()) == 3, "another has been started")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gone.joblib", "there is no such file"),
        ("broken.joblib", "cannot be read"),
        ("own_model:Missing", "has no class Missing"),
        ("no_such_module:Own", "No module named 'no_such_module'"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_said_in_one_line(place: Any, model: str, says: str) -> None:
    (place.folder / "broken.joblib").write_bytes(b"hello")
    place.settings_file.write_text(place.settings_file.read_text().replace("own_model:Own", model))
    place.submit(["a"])
    worker = place.worker()
    assert worker.ended() == 2
    assert [says in line for line in worker.said().splitlines()] == [True]
    assert place.waiting() == 1


def test_several_processes_that_cannot_load_their_model_end_together(place: Any) -> None:
    place.settings_file.write_text(place.settings_file.read_text().replace("own_model:Own", "gone.joblib"))
    worker = place.worker("mine", "--processes", "2")
    assert worker.ended() == 2
    assert "there is no such file" in worker.said()
    assert "Traceback" not in worker.said()


def test_an_unknown_deployment_is_a_mistake(place: Any) -> None:
    worker = place.worker("yours")
    assert worker.ended() == 2
    assert worker.said().strip() == "error: 'yours' is no deployment; known: mine"


def test_anything_on_the_topic_is_passed_over(place: Any) -> None:
    producer = place.broker.producer()
    topic = NAMES.requests("tumours")
    producer.publish([Message(topic, value) for value in (b"", b"\xff\x00\xfe", b"{}", b"[[[[")])
    (id_,) = place.submit(["a"])
    place.worker()
    assert place.answers(1)[id_]["data"]["outputs"] == ["A"]
    place.wait_until(lambda: place.waiting() == 0, "junk is acknowledged")
