"""Claims: how long a batch belongs to a member, and what becomes of it afterwards."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.beside import after, running
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values

from predictq.brokers import Batch, Consumer, Done, Isolate, Message, Release

CLAIM = 0.6
"""Seconds; short, so that tests see a claim expire."""


def frozen(rig: Rig, count: int) -> tuple[Consumer, Batch]:
    """A member that has polled and gives no further sign of life."""
    consumer = rig.consumer(claim_seconds=CLAIM)
    return consumer, rig.polled(consumer, count)


@contextmanager
def extending(consumer: Consumer, batch: Batch) -> Iterator[list[bool]]:
    """Signs of life from a thread of its own, as the loop gives them: what others do meanwhile may take its time."""
    answers: list[bool] = []
    over = threading.Event()

    def keep() -> None:
        while not over.wait(CLAIM / 10):
            answers.append(consumer.extend(batch))

    with running(keep, stop=over.set):
        yield answers


def test_records_of_a_member_that_gives_no_sign_of_life_go_to_another_and_are_counted(rig: Rig) -> None:
    rig.publish("a", "b", key="k")
    _, lost = frozen(rig, 2)
    assert [record.redeliveries for record in lost] == [0, 0]
    _, again = frozen(rig, 2)
    assert [record.redeliveries for record in again] == [1, 1]
    assert values(list(again)) == values(list(lost))
    third = rig.polled(rig.consumer(claim_seconds=CLAIM), 2)
    assert [record.redeliveries for record in third] == [2, 2]


def test_what_an_heir_had_not_come_to_when_it_died_itself_stays_counted(rig: Rig) -> None:
    """The first may have done its work and only not said so: whoever gets it must know that."""
    rig.publish(*"abcde", key="k")
    frozen(rig, 5)
    heir = rig.consumer(claim_seconds=CLAIM)
    assert len(rig.polled(heir, 2)) == 2

    counts = {record.value: record.redeliveries for record in rig.served(rig.consumer(claim_seconds=CLAIM), 5)}

    assert [counts[value] for value in (b"a", b"b")] == [2, 2]
    assert {counts[value] for value in (b"c", b"d", b"e")} <= {1, 2}


def test_only_what_was_in_its_hands_is_counted(rig: Rig) -> None:
    rig.publish(*[f"{i}" for i in range(10)], key="k")
    consumer = rig.consumer(claim_seconds=CLAIM)
    batch = rig.polled(consumer, 3)
    consumer.settle(batch, [Done()] * 3)
    rig.polled(consumer, 4)
    counts = {int(record.value): record.redeliveries for record in rig.served(rig.consumer(claim_seconds=CLAIM), 7)}
    assert [counts[i] for i in range(3, 7)] == [1] * 4
    fetched_ahead = {counts[i] for i in range(7, 10)}
    assert fetched_ahead == {0} or (not rig.guarantees.exact_redeliveries and fetched_ahead <= {0, 1})


def test_a_count_ends_with_the_record(rig: Rig) -> None:
    rig.publish("a", key="k")
    frozen(rig, 1)
    second = rig.consumer(claim_seconds=CLAIM)
    assert [record.redeliveries for record in rig.served(second, 1)] == [1]
    rig.publish("b", key="k")
    assert [record.redeliveries for record in rig.served(second, 1)] == [0]


def test_a_release_keeps_the_count(rig: Rig) -> None:
    rig.publish("a", "b", key="k")
    frozen(rig, 2)
    second = rig.consumer(claim_seconds=CLAIM)
    assert [record.redeliveries for record in rig.served(second, 2, lambda _: Release())] == [1, 1]
    assert [record.redeliveries for record in rig.served(second, 2)] == [1, 1]


def test_an_isolated_copy_is_counted_by_itself(rig: Rig) -> None:
    rig.publish("poison", "neighbour", key="k")
    frozen(rig, 2)
    consumer = rig.consumer(claim_seconds=CLAIM)
    rig.served(consumer, 2, lambda _: Isolate())
    alone = rig.polled(consumer, 1)
    assert [(record.alone, record.redeliveries) for record in alone] == [(True, 0)]
    counts = {}
    for record in rig.served(rig.consumer(claim_seconds=CLAIM), 2):
        assert record.alone
        counts[record.value] = record.redeliveries
    assert counts == {alone[0].value: 1, **{v: 0 for v in (b"poison", b"neighbour") if v != alone[0].value}}


def test_the_settle_of_a_member_that_lost_its_claim_writes_nothing(rig: Rig) -> None:
    rig.publish("a", "b", "c")
    zombie, lost = frozen(rig, 3)
    heir = rig.consumer(claim_seconds=CLAIM)
    taken = rig.polled(heir, 3)
    assert (
        zombie.settle(lost, [Done((Message(rig.predictions, b"zombie"),))] * 3, [Message(rig.predictions, b"batch")])
        == 3
    )
    assert heir.settle(taken, [Done((Message(rig.predictions, b"heir"),))] * 3) == 0
    assert values(rig.served(rig.consumer(group=rig.store), 3)) == ["heir"] * 3
    assert rig.lag(rig.predictions, rig.store).ready == 0
    assert rig.left() == 0


def test_a_zombie_goes_on_with_what_is_still_its_own(rig: Rig) -> None:
    rig.publish("a", "b")
    zombie, lost = frozen(rig, 2)
    heir = rig.consumer(claim_seconds=CLAIM)
    rig.served(heir, 2)
    assert zombie.settle(lost, [Done()] * 2) == 2
    heir.close()
    rig.publish("c")
    assert values(rig.served(zombie, 1)) == ["c"]


def test_a_claim_that_ran_out_and_nobody_took_is_good_or_lost_but_never_both(rig: Rig) -> None:
    rig.publish("a")
    consumer, batch = frozen(rig, 1)
    eventually(lambda: rig.lag().members == 0, "the member counts as gone")
    lost = consumer.settle(batch, [Done((rig.output("once"),))])
    assert lost == 0 or not rig.guarantees.claims_outlive_their_time
    if lost:
        rig.served(consumer, 1, lambda _: Done((rig.output("once"),)))
    assert rig.left() == 0
    emitted = rig.served(rig.consumer(group=rig.store), 1)
    assert values(emitted) == ["once"]


def test_claims_outlast_a_time_in_which_nobody_could_renew_them(rig: Rig) -> None:
    if not rig.guarantees.claims_outlive_their_time:
        pytest.skip("a claim ends by itself")
    rig.publish("a")
    busy, batch = frozen(rig, 1)
    eventually(lambda: rig.lag().members == 0, "its claim has run out")
    newcomer = rig.consumer(claim_seconds=CLAIM, idle_seconds=CLAIM / 4)
    assert rig.nothing_for(newcomer)
    assert busy.extend(batch)
    assert rig.nothing_for(newcomer)
    assert busy.settle(batch, [Done((rig.output("kept"),))]) == 0
    assert values(rig.served(rig.consumer(group=rig.store), 1)) == ["kept"]


def test_extending_keeps_a_claim_for_as_long_as_it_takes(rig: Rig) -> None:
    rig.publish("a")
    consumer, batch = frozen(rig, 1)
    with extending(consumer, batch) as kept:
        rival = rig.consumer(claim_seconds=CLAIM, idle_seconds=0.1)
        until = time.monotonic() + 3 * CLAIM
        while time.monotonic() < until:
            assert rig.nothing_for(rival)
    assert kept
    assert all(kept)
    assert consumer.settle(batch, [Done((Message(rig.predictions, b"slow"),))]) == 0
    assert values(rig.served(rig.consumer(group=rig.store), 1)) == ["slow"]


def test_extending_says_when_the_claim_is_lost(rig: Rig) -> None:
    rig.publish("a")
    zombie, lost = frozen(rig, 1)
    assert zombie.extend(lost)
    assert len(rig.served(rig.consumer(claim_seconds=CLAIM), 1)) == 1
    assert not zombie.extend(lost)


def test_closing_gives_back_at_once_and_uncounted(rig: Rig) -> None:
    rig.publish("a", "b")
    consumer = rig.consumer(claim_seconds=60.0)
    rig.polled(consumer, 2)
    consumer.close()
    heir = rig.consumer(claim_seconds=60.0, idle_seconds=0.0)
    started = time.monotonic()
    assert [record.redeliveries for record in rig.served(heir, 2)] == [0, 0]
    assert time.monotonic() - started < PATIENCE / 2
    consumer.close()


def test_draining_stops_fetching_and_the_batch_in_hand_can_be_settled(rig: Rig) -> None:
    rig.publish("a", "b")
    consumer = rig.consumer(claim_seconds=60.0)
    batch = rig.polled(consumer, 1)
    consumer.drain()
    assert consumer.settle(batch, [Done()]) == 0
    assert rig.nothing_for(consumer)
    assert len(rig.served(rig.consumer(claim_seconds=60.0), 1)) == 1


def test_draining_wakes_a_poll_that_waits(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=60.0)
    started = time.monotonic()
    with running(after(0.1, consumer.drain)):
        assert rig.nothing_for(consumer)
    assert time.monotonic() - started < PATIENCE


def test_draining_wakes_a_poll_that_fills_and_what_it_has_is_not_lost(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=60.0)
    rig.publish("a")
    with running(after(0.1, consumer.drain)):
        batch = consumer.poll(10, 1 << 20, 60.0)
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


@pytest.mark.parametrize("suffix", ["a", "b"])
def test_a_member_that_leaves_hands_over_at_once(rig: Rig, suffix: str) -> None:
    group = f"{rig.prefix}.e.{suffix}"
    first, second = (rig.consumer(group=group, claim_seconds=60.0) for _ in range(2))
    rig.nothing_for(first)
    rig.nothing_for(second)
    rig.nothing_for(first)
    first.close()
    for i in range(16):
        rig.publish(f"{i}", key=f"{i}", topic=rig.requests)
    assert len(rig.served(second, 16)) == 16


def test_a_member_that_joins_while_a_batch_is_in_hand_costs_nothing_but_what_it_takes(rig: Rig) -> None:
    first = rig.consumer(claim_seconds=2.0)
    sent = [f"{i}" for i in range(40)]
    for text in sent:
        rig.publish(text, key=text)
    batch = rig.polled(first, 40)
    assert {record.partition for record in batch} == {0, 1, 2, 3}
    taken: list[str] = []
    with extending(first, batch):
        second = rig.consumer(claim_seconds=2.0, idle_seconds=0.2)
        until = time.monotonic() + 4.0
        while time.monotonic() < until:
            theirs = second.poll(1000, 1 << 30, 0.0)
            assert second.settle(theirs, [Done((rig.output(text),)) for text in values(list(theirs))]) == 0
            taken += values(list(theirs))
    lost = first.settle(batch, [Done((rig.output(text),)) for text in values(list(batch))])
    assert len(taken) <= lost < 40
    rig.served(second, lost - len(taken), lambda record: Done((rig.output(record.value.decode()),)))
    assert sorted(values(rig.served(rig.consumer(group=rig.store), 40)), key=int) == sent
    assert rig.left() == 0
