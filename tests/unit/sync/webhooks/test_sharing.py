"""Receivers that are slow or dead, dispatchers that are many or killed."""

import os
import signal
import sys
import threading
import time
from contextlib import ExitStack

from tests.beside import running_process
from tests.unit.sync.webhooks.conftest import SECRET, Pushing, push_settings
from tests.unit.sync.webhooks.receiver import Reply, TheReceiver, receiving

PROGRAM = """
import sys, time
from predictq.loop import Stop
from predictq.push.settings import PushSettings
from predictq_sync.database import Database
from predictq_sync.webhooks.bell import Bell
from predictq_sync.webhooks.dispatcher import Dispatcher
from predictq_sync.webhooks.subscriptions import Subscriptions
database = Database(sys.argv[1])
push = PushSettings(secret=sys.argv[2], allow_http=True, allow_private_addresses=True, poll_seconds=0.05)
Dispatcher(database, push, Subscriptions(database), Bell()).run(Stop())
"""


def test_a_slow_receiver_delays_nobody_else(pushing: Pushing, receiver: TheReceiver) -> None:
    let_go = threading.Event()
    with receiving() as slow:
        slow.reply = lambda _: Reply(before=lambda: let_go.wait(60))
        with pushing.dispatching(push=push_settings(timeout_seconds=60.0, host_concurrency=4)):
            for _ in range(100):
                pushing.finish({"url": slow.url})
            slow.pushes(4)
            for _ in range(20):
                pushing.finish({"url": receiver.url})
            receiver.pushes(20)
            assert len(slow.pushes()) == 4
            let_go.set()
            pushing.settled(*["delivered"] * 120, seconds=60)


def test_a_dead_receiver_is_left_alone_and_spends_no_tries(pushing: Pushing, receiver: TheReceiver) -> None:
    with receiving() as dead:
        gone = dead.url
    push = push_settings(breaker_failures=3, breaker_seconds=600.0, host_concurrency=1, schedule_seconds=(0, 3600))
    with pushing.dispatching(push=push):
        for _ in range(30):
            pushing.finish({"url": gone})
        pushing.finish({"url": receiver.url})
        receiver.pushes(1)
        deadline = time.monotonic() + 20
        while sum(row["attempts"] for row in pushing.deliveries()) < 4:
            assert time.monotonic() < deadline

        rows = [row for row in pushing.deliveries() if row["url"] == gone]
        assert sum(row["attempts"] for row in rows) == 3
        assert {row["state"] for row in rows} == {"pending"}


def test_a_receiver_that_flaps_gets_everything(pushing: Pushing, receiver: TheReceiver) -> None:
    count = iter(range(10_000))
    receiver.reply = lambda _: Reply(204 if next(count) % 3 == 2 else 503)
    push = push_settings(breaker_failures=2, breaker_seconds=0.05, schedule_seconds=(0, *[0.05] * 49))
    with pushing.dispatching(push=push):
        for _ in range(30):
            pushing.finish({"url": receiver.url})
        rows = pushing.settled(*["delivered"] * 30, seconds=60)

    taken = {row["id"] for row in rows}
    assert {pushed.id for pushed in receiver.pushes()} == taken
    assert len(taken) == 30


def test_after_a_kill_between_sending_and_writing_down_the_same_id_comes_again(
    pushing: Pushing, receiver: TheReceiver
) -> None:
    url = pushing.database.engine.url.render_as_string(hide_password=False)
    if pushing.database.path is not None:
        url = f"sqlite:///{pushing.database.path}"
    let_go = threading.Event()
    receiver.reply = lambda _: Reply(before=lambda: let_go.wait(60))
    pushing.finish({"url": receiver.url})
    with running_process([sys.executable, "-c", PROGRAM, url, SECRET]) as process:
        (first,) = receiver.pushes(1, seconds=60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    let_go.set()
    assert [row["state"] for row in pushing.deliveries()] == ["pending"]

    with pushing.dispatching(clock=lambda: time.time() + 3600):
        pushes = receiver.pushes(2)
        pushing.settled("delivered")

    assert {push.id for push in pushes} == {first.id}


def test_two_dispatchers_share_and_send_nothing_twice(pushing: Pushing, receiver: TheReceiver) -> None:
    other = Pushing(pushing.database)
    ids = set()
    with ExitStack() as stack:
        for each in (pushing, other):
            stack.enter_context(each.dispatching(push=push_settings(host_concurrency=4)))
        for _ in range(200):
            pushing.finish({"url": receiver.url})
        rows = pushing.settled(*["delivered"] * 200, seconds=60)
        ids = {row["id"] for row in rows}

    pushes = receiver.pushes()
    assert len(pushes) == 200
    assert {push.id for push in pushes} == ids
    assert {row["attempts"] for row in rows} == {1}
