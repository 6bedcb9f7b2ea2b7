"""Claims: how long a batch belongs to a member, and what becomes of it afterwards."""

import threading
import time

import pytest
from tests.contract.brokers.conftest import (
    GROUP,
    OTHER_GROUP,
    PATIENCE,
    PREDICTIONS,
    REQUESTS,
    STORE,
    Rig,
    eventually,
    values,
)

from predictq.brokers import Batch, Consumer, Done, Isolate, Message, Release

CLAIM = 0.6
"""Seconds; short, so that tests see a claim expire."""


def polled(consumer: Consumer, count: int = 1000) -> Batch:
    """The first batch that is not empty."""
    deadline = time.monotonic() + PATIENCE
    while True:
        batch = consumer.poll(count, 1 << 30, 0.0)
        if batch:
            return batch
        assert time.monotonic() < deadline, "nothing came"


def frozen(rig: Rig, count: int = 1000) -> tuple[Consumer, Batch]:
    """A member that has polled and gives no further sign of life."""
    consumer = rig.consumer(claim_seconds=CLAIM)
    return consumer, polled(consumer, count)


def test_records_of_a_member_that_gives_no_sign_of_life_go_to_another_and_are_counted(rig: Rig) -> None:
    rig.publish("a", "b")
    _, lost = frozen(rig)
    assert [record.redeliveries for record in lost] == [0, 0]
    _, again = frozen(rig)
    assert [record.redeliveries for record in again] == [1, 1]
    assert values(list(again)) == values(list(lost))
    third = polled(rig.consumer(claim_seconds=CLAIM))
    assert [record.redeliveries for record in third] == [2, 2]


def test_only_what_was_in_its_hands_is_counted(rig: Rig) -> None:
    rig.publish(*[f"{i}" for i in range(10)], key="k")
    consumer = rig.consumer(claim_seconds=CLAIM)
    batch = polled(consumer, 3)
    consumer.settle(batch, [Done()] * 3)
    polled(consumer, 4)
    counts = {int(record.value): record.redeliveries for record in rig.served(rig.consumer(claim_seconds=CLAIM), 7)}
    assert counts == {3: 1, 4: 1, 5: 1, 6: 1, 7: 0, 8: 0, 9: 0}


def test_a_count_ends_with_the_record(rig: Rig) -> None:
    rig.publish("a", key="k")
    frozen(rig)
    second = rig.consumer(claim_seconds=CLAIM)
    assert [record.redeliveries for record in rig.served(second, 1)] == [1]
    rig.publish("b", key="k")
    assert [record.redeliveries for record in rig.served(second, 1)] == [0]


def test_a_release_keeps_the_count(rig: Rig) -> None:
    rig.publish("a", "b", key="k")
    frozen(rig)
    second = rig.consumer(claim_seconds=CLAIM)
    assert [record.redeliveries for record in rig.served(second, 2, lambda _: Release())] == [1, 1]
    assert [record.redeliveries for record in rig.served(second, 2)] == [1, 1]


def test_an_isolated_copy_is_counted_by_itself(rig: Rig) -> None:
    rig.publish("poison", "neighbour", key="k")
    frozen(rig)
    consumer = rig.consumer(claim_seconds=CLAIM)
    rig.served(consumer, 2, lambda _: Isolate())
    alone = polled(consumer)
    assert [(record.alone, record.redeliveries) for record in alone] == [(True, 0)]
    counts = {}
    for record in rig.served(rig.consumer(claim_seconds=CLAIM), 2):
        assert record.alone
        counts[record.value] = record.redeliveries
    assert counts == {alone[0].value: 1, **{v: 0 for v in (b"poison", b"neighbour") if v != alone[0].value}}


def test_the_settle_of_a_member_that_lost_its_claim_writes_nothing(rig: Rig) -> None:
    rig.publish("a", "b", "c")
    zombie, lost = frozen(rig)
    heir = rig.consumer(claim_seconds=CLAIM)
    taken = polled(heir)
    assert len(taken) == 3
    assert zombie.settle(lost, [Done((Message(PREDICTIONS, b"zombie"),))] * 3, [Message(PREDICTIONS, b"batch")]) == 3
    assert heir.settle(taken, [Done((Message(PREDICTIONS, b"heir"),))] * 3) == 0
    assert values(rig.served(rig.consumer(group=STORE), 3)) == ["heir"] * 3
    assert rig.lag(PREDICTIONS, STORE).ready == 0
    assert rig.left() == 0


def test_a_zombie_goes_on_with_what_is_still_its_own(rig: Rig) -> None:
    rig.publish("a", "b")
    zombie, lost = frozen(rig)
    heir = rig.consumer(claim_seconds=CLAIM)
    rig.served(heir, 2)
    assert zombie.settle(lost, [Done()] * 2) == 2
    heir.close()
    rig.publish("c")
    assert values(rig.served(zombie, 1)) == ["c"]


def test_a_claim_that_nobody_took_is_still_good(rig: Rig) -> None:
    rig.publish("a")
    consumer, batch = frozen(rig)
    eventually(lambda: rig.lag().members == 0, "the member counts as gone")
    assert consumer.settle(batch, [Done()]) == 0
    assert rig.left() == 0


def test_claims_outlast_a_time_in_which_nobody_could_renew_them(rig: Rig) -> None:
    rig.publish("a")
    busy, batch = frozen(rig)
    eventually(lambda: rig.lag().members == 0, "its claim has run out")
    newcomer = rig.consumer(claim_seconds=CLAIM, idle_seconds=CLAIM / 4)
    assert rig.nothing_for(newcomer)
    assert busy.extend(batch)
    assert rig.nothing_for(newcomer)
    assert busy.settle(batch, [Done((Message(PREDICTIONS, b"kept"),))]) == 0
    assert values(rig.served(rig.consumer(group=STORE), 1)) == ["kept"]


def test_extending_keeps_a_claim_for_as_long_as_it_takes(rig: Rig) -> None:
    rig.publish("a")
    consumer, batch = frozen(rig)
    rival = rig.consumer(claim_seconds=CLAIM, idle_seconds=0.1)
    until = time.monotonic() + 3 * CLAIM
    kept = []
    while time.monotonic() < until:
        thread = threading.Thread(target=lambda: kept.append(consumer.extend(batch)))
        thread.start()
        thread.join()
        assert rig.nothing_for(rival)
    assert all(kept)
    assert consumer.settle(batch, [Done((Message(PREDICTIONS, b"slow"),))]) == 0
    assert values(rig.served(rig.consumer(group=STORE), 1)) == ["slow"]


def test_extending_says_when_the_claim_is_lost(rig: Rig) -> None:
    rig.publish("a")
    zombie, lost = frozen(rig)
    assert zombie.extend(lost)
    assert len(rig.served(rig.consumer(claim_seconds=CLAIM), 1)) == 1
    assert not zombie.extend(lost)


def test_closing_gives_back_at_once_and_uncounted(rig: Rig) -> None:
    rig.publish("a", "b")
    consumer = rig.consumer(claim_seconds=60.0)
    polled(consumer)
    consumer.close()
    heir = rig.consumer(claim_seconds=60.0, idle_seconds=0.0)
    started = time.monotonic()
    assert [record.redeliveries for record in rig.served(heir, 2)] == [0, 0]
    assert time.monotonic() - started < PATIENCE / 2
    consumer.close()


def test_draining_stops_fetching_and_the_batch_in_hand_can_be_settled(rig: Rig) -> None:
    rig.publish("a", "b")
    consumer = rig.consumer(claim_seconds=60.0)
    batch = polled(consumer, 1)
    consumer.drain()
    assert consumer.settle(batch, [Done()]) == 0
    assert rig.nothing_for(consumer)
    assert len(rig.served(rig.consumer(claim_seconds=60.0), 1)) == 1


def test_draining_wakes_a_poll_that_waits(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=60.0)
    timer = threading.Timer(0.1, consumer.drain)
    timer.start()
    started = time.monotonic()
    assert rig.nothing_for(consumer)
    timer.join()
    assert time.monotonic() - started < PATIENCE


def test_draining_wakes_a_poll_that_fills_and_what_it_has_is_not_lost(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=60.0)
    rig.publish("a")
    timer = threading.Timer(0.1, consumer.drain)
    timer.start()
    batch = consumer.poll(10, 1 << 20, 60.0)
    timer.join()
    consumer.settle(batch, [Done()] * len(batch))
    consumer.close()
    left = rig.left()
    assert len(batch) + left == 1


def test_a_member_that_joins_gets_its_share_without_anything_being_lost_or_doubled(rig: Rig) -> None:
    first = rig.consumer(claim_seconds=60.0)
    for i in range(100):
        rig.publish(f"{i}", key=f"{i}")
    got = values(rig.served(first, 20))
    second = rig.consumer(claim_seconds=60.0)
    shares: dict[Consumer, int] = {first: 0, second: 0}
    deadline = time.monotonic() + PATIENCE
    while len(got) < 100 and time.monotonic() < deadline:
        for member in shares:
            batch = member.poll(5, 1 << 20, 0.0)
            assert member.settle(batch, [Done()] * len(batch)) == 0
            shares[member] += len(batch)
            got += values(list(batch))
    assert sorted(got, key=int) == [f"{i}" for i in range(100)]
    assert all(shares.values())


@pytest.mark.parametrize("group", [GROUP, OTHER_GROUP])
def test_a_member_that_leaves_hands_over_at_once(rig: Rig, group: str) -> None:
    first, second = (rig.consumer(group=group, claim_seconds=60.0) for _ in range(2))
    rig.nothing_for(first)
    rig.nothing_for(second)
    rig.nothing_for(first)
    first.close()
    for i in range(16):
        rig.publish(f"{i}", key=f"{i}", topic=REQUESTS)
    assert len(rig.served(second, 16)) == 16
