"""What ends is pushed: signed, once, and again until it is taken."""

import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import cast

import pytest
from tests.unit.sync.conftest import prediction, request
from tests.unit.sync.webhooks.conftest import OLD_SECRET, SECRET, Pushing, push_settings, statuses
from tests.unit.sync.webhooks.receiver import Reply, TheReceiver, receiving

from predictq.clock import parse_time
from predictq.ids import new_id
from predictq.push.secrets import new_secret
from predictq.push.settings import WebhookSettings
from predictq_sync.reading import Reader
from predictq_sync.webhooks.declaring import declare
from predictq_sync.webhooks.keeping import WebhookKeeper, WebhookSpec
from predictq_sync.webhooks.reading import DeliveryReader


def spec(url: str, **options: object) -> WebhookSpec:
    plain: dict[str, object] = {
        "url": url,
        "events": [],
        "endpoint": None,
        "job": None,
        "when": None,
        "secret": None,
        "batch": False,
    }
    return cast("WebhookSpec", {**plain, **options})


def keeper(pushing: Pushing, **options: float) -> WebhookKeeper:
    return WebhookKeeper(pushing.database, rotation_seconds=options.get("rotation_seconds", 3600.0))


def make(pushing: Pushing, url: str, **options: object) -> tuple[str, str]:
    """The id and the secret of a webhook that everybody knows of."""
    made = keeper(pushing).make(spec(url, **options))
    pushing.subscriptions.refresh(at_once=True)
    return made["id"], made["secret"]


def test_a_callback_is_pushed_signed_with_what_get_tells(pushing: Pushing, receiver: TheReceiver) -> None:
    with pushing.dispatching():
        request_id = pushing.finish({"url": f"{receiver.url}/hook?of=mine"})
        (push,) = receiver.pushes(1)
        (row,) = pushing.settled("delivered")

    assert push.path == "/hook?of=mine"
    assert push.verified(SECRET) == {
        "type": "prediction.succeeded",
        "timestamp": row["created_at"],
        "data": Reader(pushing.database).requests([request_id])[request_id],
    }
    assert push.headers["content-type"] == "application/json"
    assert push.id == row["id"]
    assert (row["attempts"], statuses(row), row["claim"]) == (1, [204], None)


def test_nothing_is_written_where_nobody_asked(pushing: Pushing) -> None:
    pushing.finish()

    assert pushing.deliveries() == []


def test_a_callback_is_pushed_whichever_of_request_and_prediction_comes_first(
    pushing: Pushing, receiver: TheReceiver
) -> None:
    request_id = new_id()
    pushing.store.handle([prediction(request_id)])
    assert pushing.deliveries() == []

    pushing.ledger.handle([request(request_id, callback={"url": receiver.url})])

    assert [row["subject"] for row in pushing.deliveries()] == [request_id]


def test_only_the_events_that_were_asked_for(pushing: Pushing, receiver: TheReceiver) -> None:
    pushing.finish({"url": receiver.url, "events": ["prediction.failed"]})
    failed = pushing.finish({"url": receiver.url, "events": ["prediction.failed"]}, status="failed", outputs=[])

    assert [(row["event"], row["subject"]) for row in pushing.deliveries()] == [("prediction.failed", failed)]


def test_what_is_redelivered_by_the_broker_is_pushed_once(pushing: Pushing, receiver: TheReceiver) -> None:
    request_id = pushing.finish({"url": receiver.url})
    pushing.finish({"url": receiver.url}, request_id=request_id)

    assert len(pushing.deliveries()) == 1


def test_what_is_cancelled_is_pushed(pushing: Pushing, receiver: TheReceiver) -> None:
    request_id = new_id()
    pushing.ledger.handle([request(request_id, callback={"url": receiver.url})])

    Reader(pushing.database).cancel(request_id, time.time())

    assert [row["event"] for row in pushing.deliveries()] == ["prediction.cancelled"]


def test_it_is_tried_again_under_the_same_id_until_it_is_taken(pushing: Pushing, receiver: TheReceiver) -> None:
    receiver.answers(Reply(500), Reply(503), Reply(200, body=b"thanks"))
    with pushing.dispatching():
        pushing.finish({"url": receiver.url})
        pushes = receiver.pushes(3)
        (row,) = pushing.settled("delivered")

    assert {push.id for push in pushes} == {row["id"]}
    for push in pushes:
        push.verified(SECRET)
    assert statuses(row) == [500, 503, 200]


def test_after_the_last_try_it_has_failed_and_can_be_replayed(pushing: Pushing, receiver: TheReceiver) -> None:
    receiver.answers(Reply(500))
    with pushing.dispatching():
        pushing.finish({"url": receiver.url})
        (row,) = pushing.settled("failed")
        assert statuses(row) == [500] * 4

        receiver.answers(Reply())
        DeliveryReader(pushing.database).replay(row["id"])
        (row,) = pushing.settled("delivered")

    assert statuses(row) == [500] * 4 + [204]
    assert {push.id for push in receiver.pushes(5)} == {row["id"]}


def test_a_receiver_that_was_down_gets_it_when_it_is_up(pushing: Pushing) -> None:
    with receiving() as gone:
        port = int(gone.url.rpartition(":")[2])
    schedule = (0, *[0.1] * 49)
    with pushing.dispatching(push=push_settings(schedule_seconds=schedule)):
        pushing.finish({"url": gone.url})
        deadline = time.monotonic() + 20
        while not pushing.deliveries()[0]["history"]:
            assert time.monotonic() < deadline
        with receiving(port) as back:
            (push,) = back.pushes(1)
            (row,) = pushing.settled("delivered")

    push.verified(SECRET)
    assert row["history"][0]["status"] is None
    assert row["history"][0]["error"].startswith("ClientConnectorError")


def test_an_answer_after_the_time_out_counts_for_nothing(pushing: Pushing, receiver: TheReceiver) -> None:
    receiver.answers(Reply(204, before=lambda: time.sleep(0.8)), Reply(204))
    with pushing.dispatching(push=push_settings(timeout_seconds=0.3, schedule_seconds=(0, 0.5))):
        pushing.finish({"url": receiver.url})
        (row,) = pushing.settled("delivered")

    assert statuses(row) == [None, 204]
    assert row["history"][0]["error"] == "no answer within 0.3 s"


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(pushing: Pushing, receiver: TheReceiver, *, as_date: bool) -> None:
    wanted = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True) if as_date else "300"
    receiver.answers(Reply(503, {"Retry-After": wanted}))
    with pushing.dispatching():
        pushing.finish({"url": receiver.url})
        receiver.pushes(1)
        deadline = time.monotonic() + 20
        while not (row := pushing.deliveries()[0])["history"]:
            assert time.monotonic() < deadline

    assert row["state"] == "pending"
    assert 250 < parse_time(row["due_at"]) - time.time() <= 301


def test_gone_ends_it_and_disables_the_webhook(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, _ = make(pushing, receiver.url)
    receiver.answers(Reply(410))
    with pushing.dispatching():
        pushing.finish()
        (row,) = pushing.settled("failed")
        deadline = time.monotonic() + 20
        while (webhook := keeper(pushing).one(webhook_id)) is not None and webhook["state"] == "enabled":
            assert time.monotonic() < deadline

    assert statuses(row) == [410]
    assert webhook is not None
    assert webhook["reason"] == "its receiver answered 410 Gone"


def test_a_redirect_is_a_failure_and_not_followed(pushing: Pushing, receiver: TheReceiver) -> None:
    with receiving() as other, pushing.dispatching(push=push_settings(schedule_seconds=(0,))):
        receiver.answers(Reply(307, {"Location": f"{other.url}/else"}))
        pushing.finish({"url": receiver.url})
        (row,) = pushing.settled("failed")
        assert other.pushes() == []

    assert row["history"][0]["error"] == "answered 307, and redirects are not followed"


def test_a_huge_answer_is_read_no_further_than_its_bound(pushing: Pushing, receiver: TheReceiver) -> None:
    receiver.answers(Reply(200, body=b"x" * 50_000_000))
    with pushing.dispatching(push=push_settings(max_answer_bytes=1000)):
        pushing.finish({"url": receiver.url})
        (row,) = pushing.settled("delivered")

    assert statuses(row) == [200]


def test_a_webhook_signs_with_its_own_secret(pushing: Pushing, receiver: TheReceiver) -> None:
    _, secret = make(pushing, receiver.url)
    with pushing.dispatching():
        pushing.finish()
        (push,) = receiver.pushes(1)

    push.verified(secret)
    with pytest.raises(Exception, match="No matching signature"):
        push.verified(SECRET)


def test_two_secrets_sign_while_one_takes_the_place_of_the_other(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, old = make(pushing, receiver.url)
    rotated = keeper(pushing).rotate(webhook_id, None)
    assert rotated is not None
    with pushing.dispatching(push=push_settings(old_secret=OLD_SECRET)):
        pushing.finish()
        pushing.finish({"url": f"{receiver.url}/callback"})
        pushes = receiver.pushes(3)
        pushing.settled(*["delivered"] * 3)

    for push in pushes:
        secrets = (SECRET, OLD_SECRET) if push.path == "/callback" else (rotated["secret"], old)
        for secret in secrets:
            push.verified(secret)


def test_an_old_secret_runs_out(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, old = make(pushing, receiver.url)
    keeper(pushing, rotation_seconds=-1.0).rotate(webhook_id, None)
    pushing.subscriptions.refresh(at_once=True)
    with pushing.dispatching():
        pushing.finish()
        (push,) = receiver.pushes(1)

    with pytest.raises(Exception, match="No matching signature"):
        push.verified(old)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("label = fraud", True),
        ('label == "fraud"', True),
        ("label != fine", True),
        ("label = fine", False),
        ("probabilities.fraud >= 0.9", True),
        ("probabilities.fraud > 0.95", False),
        ("probabilities.unknown >= 0", False),
        ("label > 1", False),
    ],
)
def test_a_condition_decides_by_any_visible_output(
    pushing: Pushing, receiver: TheReceiver, when: str, told: bool
) -> None:
    make(pushing, receiver.url, when=when)

    outputs = [None, {"label": "fraud", "probabilities": {"fraud": 0.95}}]
    pushing.finish(outputs=outputs)

    assert len(pushing.deliveries()) == told


def test_webhooks_are_told_of_what_they_asked_for(pushing: Pushing, receiver: TheReceiver) -> None:
    wanted, _ = make(pushing, receiver.url, events=["prediction.succeeded"], endpoint="tumours")
    make(pushing, receiver.url, events=["prediction.failed"])
    make(pushing, receiver.url, endpoint="fraud")
    disabled, _ = make(pushing, receiver.url)
    keeper(pushing).switch(disabled, enabled=False)
    pushing.subscriptions.refresh(at_once=True)

    pushing.finish()

    assert [row["webhook_id"] for row in pushing.deliveries()] == [wanted]


def test_those_of_the_settings_come_change_and_go_with_them(pushing: Pushing, receiver: TheReceiver) -> None:
    declared = WebhookSettings.model_validate({"url": f"{receiver.url}/old", "events": ["prediction.succeeded"]})
    declare(pushing.database, {"alerts": declared}, time.time())
    pushing.subscriptions.refresh(at_once=True)
    pushing.finish()
    moved = declared.model_copy(update={"url": f"{receiver.url}/new"})
    declare(pushing.database, {"alerts": moved}, time.time())

    with pushing.dispatching():
        (push,) = receiver.pushes(1)
        pushing.settled("delivered")
    assert push.path == "/new"
    push.verified(SECRET)

    declare(pushing.database, {}, time.time())
    assert keeper(pushing).all() == []


def test_what_is_due_to_a_deleted_webhook_fails(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, _ = make(pushing, receiver.url)
    pushing.finish()
    keeper(pushing).delete(webhook_id)

    with pushing.dispatching():
        (row,) = pushing.settled("failed")

    assert row["history"][-1]["error"] == "its webhook was deleted"
    assert receiver.pushes() == []


def test_a_test_is_pushed_like_any_other(pushing: Pushing, receiver: TheReceiver) -> None:
    webhook_id, secret = make(pushing, receiver.url)
    delivery_id = keeper(pushing).test(webhook_id)
    with pushing.dispatching():
        (push,) = receiver.pushes(1)

    assert push.id == delivery_id
    body = push.verified(secret)
    assert (body["type"], body["data"]) == ("webhook.test", {"id": webhook_id})


def test_secrets_are_told_by_nothing(pushing: Pushing, receiver: TheReceiver, caplog: pytest.LogCaptureFixture) -> None:
    webhook_id, secret = make(pushing, receiver.url, secret=new_secret())
    receiver.answers(Reply(500), Reply(410))
    caplog.set_level(logging.DEBUG)
    with pushing.dispatching(push=push_settings(breaker_failures=1, breaker_seconds=0.1)):
        pushing.finish()
        pushing.settled("failed")

    told = [caplog.text, repr(keeper(pushing).all()), repr(keeper(pushing).one(webhook_id)), repr(push_settings())]
    told += [repr(pushing.subscriptions.by_id()), repr(DeliveryReader(pushing.database).page(limit=10))]
    assert caplog.text
    for text in told:
        for hidden in (secret, SECRET):
            assert hidden not in text
            assert hidden.removeprefix("whsec_") not in text
