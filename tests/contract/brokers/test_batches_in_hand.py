"""As many batches in hand as the broker allows: settled in order, each by itself, beside polls and handlers."""

import itertools
import threading
from collections import deque

import pytest
from tests.contract.brokers.conftest import Rig, eventually, values

from predictq.brokers import Batch, Consumer, Done, Record, Release

CLAIM = 1.0


def in_hand(rig: Rig, consumer: Consumer, size: int) -> list[Batch]:
    """As many batches of `size` records as may be in hand."""
    return [rig.polled(consumer, size) for _ in range(rig.guarantees.batches_in_hand)]


def answered(rig: Rig, batch: Batch) -> list[Done]:
    return [Done((rig.output(record.value.decode()),)) for record in batch]


def test_no_more_batches_may_be_in_hand_than_it_says(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*"abcdef", key="k")
    first, *_ = in_hand(rig, consumer, 1)
    with pytest.raises(RuntimeError, match="in hand"):
        consumer.poll(1, 1 << 20, 0.0)
    assert consumer.settle(first, [Done()]) == 0
    assert len(rig.polled(consumer, 1)) == 1


def test_batches_are_settled_in_the_order_of_their_polls(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish(*"abcdef", key="k")
    batches = in_hand(rig, consumer, 2)
    for later in batches[1:]:
        with pytest.raises(RuntimeError, match="oldest"):
            consumer.settle(later, answered(rig, later))
    assert rig.nothing_for(store)
    for batch in batches:
        assert consumer.settle(batch, answered(rig, batch)) == 0
    count = 2 * len(batches)
    assert sorted(values(rig.served(store, count))) == list("abcdef"[:count])


def test_nothing_is_released_before_a_later_batch_is_settled(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*"abcdef", key="k")
    first, *later = in_hand(rig, consumer, 2)
    if later:
        with pytest.raises(RuntimeError, match="released"):
            consumer.settle(first, [Done(), Release()])
        consumer.settle(first, [Done(), Done()])
    for batch in later:
        consumer.settle(batch, [Done(), Release()])
    if not later:
        consumer.settle(first, [Done(), Release()])
    left = "abcdef"[2 * (1 + len(later)) - 1 :]
    assert sorted(values(rig.served(consumer, len(left)))) == list(left)


def test_settling_one_acknowledges_nothing_of_the_next(rig: Rig) -> None:
    rig.publish(*"abcdef", key="k")
    consumer = rig.consumer(claim_seconds=CLAIM)
    first, *_ = in_hand(rig, consumer, 2)
    assert consumer.settle(first, [Done()] * 2) == 0
    # The member falls silent, with whatever else it has in hand.
    others = rig.served(rig.consumer(claim_seconds=CLAIM), 4)
    assert sorted(values(others)) == list("cdef")


def test_all_that_was_in_the_hands_of_a_dead_member_is_counted(rig: Rig) -> None:
    rig.publish(*"abcdef", key="k")
    count = 2 * len(in_hand(rig, rig.consumer(claim_seconds=CLAIM), 2))
    found = rig.served(rig.consumer(claim_seconds=CLAIM), 6)
    assert sorted(record.value.decode() for record in found if record.redeliveries) >= list("abcdef"[:count])
    assert {record.redeliveries for record in found} <= {0, 1}


def test_extending_keeps_the_claim_on_each(rig: Rig) -> None:
    rig.publish(*"abcdef", key="k")
    consumer, other = rig.consumer(claim_seconds=CLAIM), rig.consumer(claim_seconds=CLAIM, idle_seconds=0.2)
    batches = in_hand(rig, consumer, 2)
    taken: list[Record] = []
    for _ in range(12):
        assert [consumer.extend(batch) for batch in batches] == [True] * len(batches)
        batch = other.poll(10, 1 << 20, 0.0)
        other.settle(batch, [Done()] * len(batch))
        taken += batch
    for batch in batches:
        assert consumer.settle(batch, answered(rig, batch)) == 0
    mine = [record.value for batch in batches for record in batch]
    assert not {record.value for record in taken} & set(mine)


def test_closing_gives_back_all_of_them_uncounted(rig: Rig) -> None:
    rig.publish(*"abcdef", key="k")
    consumer = rig.consumer()
    in_hand(rig, consumer, 2)
    consumer.close()
    found = rig.served(rig.consumer(), 6)
    assert sorted(values(found)) == list("abcdef")
    if rig.guarantees.exact_redeliveries:
        assert {record.redeliveries for record in found} == {0}


def test_a_member_that_drains_settles_all_of_them(rig: Rig) -> None:
    rig.publish(*"abcdef", key="k")
    consumer = rig.consumer()
    batches = in_hand(rig, consumer, 1)
    consumer.drain()
    for batch in batches:
        assert consumer.settle(batch, [Done()]) == 0
        assert not consumer.poll(10, 1 << 20, 0.0)
    consumer.close()
    left = "abcdef"[len(batches) :]
    assert sorted(values(rig.served(rig.consumer(), len(left)))) == list(left)


def test_one_thread_settles_while_another_polls_and_everything_is_answered_once(rig: Rig) -> None:
    texts = [f"{number}" for number in range(300)]
    for text in texts:
        rig.publish(text, key=text)
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    polled: deque[Batch] = deque()
    room, more = threading.Semaphore(rig.guarantees.batches_in_hand), threading.Semaphore(0)
    lost: list[int] = []

    def settle_all() -> None:
        for _ in itertools.count():
            more.acquire()
            batch = polled.popleft()
            if not batch:
                return
            lost.append(consumer.settle(batch, answered(rig, batch)))
            room.release()

    settler = threading.Thread(target=settle_all)
    settler.start()
    try:
        count = 0

        def poll_one() -> bool:
            nonlocal count
            assert room.acquire(timeout=30.0), "a settle does not come to its end"
            batch = consumer.poll(7, 1 << 20, 0.0)
            if not batch:
                room.release()
                return False
            count += len(batch)
            polled.append(batch)
            more.release()
            return count == len(texts)

        eventually(poll_one, "all are polled")
    finally:
        polled.append(Batch(()))
        more.release()
        settler.join(30.0)
    assert not settler.is_alive()
    assert set(lost) == {0}
    assert sorted(values(rig.served(store, len(texts))), key=int) == texts
    assert rig.left() == 0
    assert rig.nothing_for(store)


def test_a_partition_is_handed_over_when_all_that_is_in_hand_of_it_is_settled(rig: Rig) -> None:
    """Where a group shares out partitions; elsewhere the newcomer takes what is left at once."""
    texts = [f"{number}" for number in range(80)]
    for text in texts:
        rig.publish(text, key=text)
    first = rig.consumer(idle_seconds=0.05)
    batches = deque(in_hand(rig, first, 4))
    second = rig.consumer(idle_seconds=0.05)
    found = [record.value.decode() for batch in batches for record in batch]

    def both_work() -> bool:
        batch = second.poll(4, 1 << 20, 0.0)
        assert second.settle(batch, [Done()] * len(batch)) == 0
        found.extend(values(list(batch)))
        oldest = batches.popleft()
        assert first.settle(oldest, [Done()] * len(oldest)) == 0
        batches.append(first.poll(4, 1 << 20, 0.0))
        found.extend(values(list(batches[-1])))
        return len(found) >= len(texts)

    eventually(both_work, "two members serve everything")
    assert sorted(found, key=int) == texts
