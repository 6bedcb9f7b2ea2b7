"""A webhook with `batch` is told of several events in one push, each of which stays a delivery of its own."""

import time
from typing import Any

import pytest
from pydantic_core import from_json
from tests.unit.sync.webhooks.conftest import SECRET, Pushing, push_settings, statuses
from tests.unit.sync.webhooks.receiver import Push, Reply, TheReceiver
from tests.unit.sync.webhooks.test_delivering import keeper, make

from predictq.push.settings import WebhookSettings
from predictq_sync.webhooks.declaring import declare


def together(**options: Any) -> Any:
    """So that all that is there at the start of a dispatcher goes together."""
    return push_settings(batch_wait_seconds=0.0, **options)


def ids(push: Push) -> list[str]:
    return [event["id"] for event in from_json(push.body)]


def test_what_waits_goes_in_one_push_signed_as_a_whole(pushing: Pushing, receiver: TheReceiver) -> None:
    _, secret = make(pushing, receiver.url, batch=True)
    requests = [pushing.finish() for _ in range(5)]
    with pushing.dispatching(push=together()):
        (push,) = receiver.pushes(1)
        rows = pushing.settled(*["delivered"] * 5)

    told = push.verified(secret)
    assert [event["data"]["id"] for event in told] == [row["subject"] for row in rows]
    assert sorted(event["data"]["id"] for event in told) == sorted(requests)
    assert {event["id"]: event["type"] for event in told} == {row["id"]: "prediction.succeeded" for row in rows}
    assert {event["timestamp"] for event in told} == {row["created_at"] for row in rows}
    assert [statuses(row) for row in rows] == [[204]] * 5


def test_the_first_waits_for_others(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, batch=True)
    later = [0.0]
    push = push_settings(batch_wait_seconds=60.0)
    with pushing.dispatching(push=push, clock=lambda: time.time() + later[0]):
        for _ in range(3):
            pushing.finish({"url": f"{receiver.url}/alone"})
        assert [each.path for each in receiver.pushes(3)] == ["/alone"] * 3
        pushing.settled(*["delivered"] * 3, *["pending"] * 3)
        later[0] = 61.0
        assert len(ids(receiver.pushes(4)[3])) == 3
        pushing.settled(*["delivered"] * 6)


def test_a_push_holds_no_more_events_than_the_bound(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, batch=True)
    for _ in range(7):
        pushing.finish()
    with pushing.dispatching(push=together(batch_max_events=3)):
        pushes = receiver.pushes(3)
        rows = pushing.settled(*["delivered"] * 7)

    assert sorted(len(ids(push)) for push in pushes) == [1, 3, 3]
    assert sorted(each for push in pushes for each in ids(push)) == sorted(row["id"] for row in rows)


def test_a_push_holds_no_more_bytes_than_the_bound(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, batch=True)
    for _ in range(6):
        pushing.finish(outputs=["x" * 1500])
    large = pushing.finish(outputs=["x" * 9000])
    with pushing.dispatching(push=together(batch_max_bytes=5000)):
        rows = pushing.settled(*["delivered"] * 7)
        pushes = receiver.pushes()

    (alone,) = [push for push in pushes if len(push.body) > 5000]
    assert [event["data"]["id"] for event in from_json(alone.body)] == [large]
    assert max(len(ids(push)) for push in pushes) == 2
    assert sorted(each for push in pushes for each in ids(push)) == sorted(row["id"] for row in rows)


def test_what_failed_together_is_tried_again_together_under_the_same_id(
    pushing: Pushing, receiver: TheReceiver
) -> None:
    make(pushing, receiver.url, batch=True)
    receiver.answers(Reply(503), Reply())
    for _ in range(4):
        pushing.finish()
    with pushing.dispatching(push=together()):
        first, second = receiver.pushes(2)
        rows = pushing.settled(*["delivered"] * 4)

    assert first.id == second.id
    assert first.body == second.body
    assert [statuses(row) for row in rows] == [[503, 204]] * 4


def test_one_that_a_receiver_refuses_does_not_hold_up_its_neighbours(pushing: Pushing, receiver: TheReceiver) -> None:
    make(pushing, receiver.url, batch=True)
    requests = [pushing.finish() for _ in range(4)]
    receiver.reply = lambda push: Reply(400 if requests[2] in push.body.decode() else 204)
    with pushing.dispatching(push=together()):
        rows = pushing.settled("delivered", "delivered", "delivered", "failed")

    (failed,) = [row for row in rows if row["state"] == "failed"]
    assert failed["subject"] == requests[2]
    assert statuses(failed) == [400] * 4
    assert all(statuses(row) == [400, 204] for row in rows if row is not failed)


def test_webhooks_of_one_receiver_are_not_mixed(pushing: Pushing, receiver: TheReceiver) -> None:
    secrets = [make(pushing, f"{receiver.url}/{name}", batch=True)[1] for name in ("a", "b")]
    for _ in range(3):
        pushing.finish()
    with pushing.dispatching(push=together()):
        found = {push.path: push for push in receiver.pushes(2)}
        pushing.settled(*["delivered"] * 6)

    assert len(found["/a"].verified(secrets[0])) == len(found["/b"].verified(secrets[1])) == 3


def test_a_test_and_a_replay_are_batches_of_one(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, secret = make(pushing, receiver.url, batch=True)
    delivery_id = keeper(pushing).test(webhook_id)
    with pushing.dispatching(push=together()):
        (push,) = receiver.pushes(1)
        pushing.settled("delivered")

    assert push.verified(secret)[0] == {
        "id": delivery_id,
        "type": "webhook.test",
        "timestamp": push.verified(secret)[0]["timestamp"],
        "data": {"id": webhook_id},
    }


@pytest.mark.parametrize("batch", [True, False])
def test_what_waits_goes_as_the_settings_of_now_say(pushing: Pushing, receiver: TheReceiver, batch: bool) -> None:
    def said(batch: bool) -> None:
        declare(pushing.database, {"mine": WebhookSettings(url=receiver.url, batch=batch)}, 0.0)
        pushing.subscriptions.refresh(at_once=True)

    said(not batch)
    for _ in range(2):
        pushing.finish()
    said(batch)
    with pushing.dispatching(push=together()):
        bodies = [push.verified(SECRET) for push in receiver.pushes(1 if batch else 2)]
        pushing.settled("delivered", "delivered")

    assert [isinstance(body, list) for body in bodies] == ([True] if batch else [False, False])
