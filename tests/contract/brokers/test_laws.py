"""What holds for any sequence of verdicts, members and sizes."""

import uuid
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.brokers.conftest import Rig

from predictq.brokers import Dead, Done, Isolate, Message, Record, Release, Retry, Verdict

KINDS = ["done", "dead", "retry", "isolate", "release"]

steps = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 12), st.lists(st.sampled_from(KINDS), min_size=12, max_size=12)),
    max_size=8,
)


def verdict_of(rig: Rig, kind: str, record: Record) -> Verdict:
    verdicts: dict[str, Verdict] = {
        "done": Done((Message(rig.predictions, record.value, record.key),)),
        "dead": Dead("why", (Message(rig.predictions, record.value, record.key),)),
        "retry": Retry(0.0),
        "isolate": Isolate(),
        "release": Release(),
    }
    return verdicts[kind]


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=30), steps=steps, leaves=st.booleans()
)
def test_any_sequence_of_verdicts_loses_nothing_and_doubles_nothing(
    keys: list[str | None], steps: list[tuple[int, int, list[str]]], leaves: bool
) -> None:
    rig = Rig(f"memory://{uuid.uuid4().hex}")
    members = [rig.consumer(idle_seconds=0.0) for _ in range(2)]
    for i, key in enumerate(keys):
        rig.publish(f"{i}", key=key)
    dead = 0
    for who, size, kinds in steps:
        batch = members[who].poll(size, 1 << 20, 0.0)
        judged = list(zip(kinds, batch, strict=False))
        assert members[who].settle(batch, [verdict_of(rig, kind, record) for kind, record in judged]) == 0
        dead += sum(kind == "dead" for kind, _ in judged)
    if leaves:
        members[0].close()
        members[0] = rig.consumer(idle_seconds=0.0)
    while rig.left():
        for member in members:
            batch = member.poll(100, 1 << 20, 0.0)
            member.settle(batch, [verdict_of(rig, "done", record) for record in batch])
    emitted = rig.served(rig.consumer(group=rig.store), len(keys))
    assert Counter(int(record.value) for record in emitted) == Counter(range(len(keys)))
    assert rig.lag(rig.predictions, rig.store).ready == 0
    assert rig.lag(rig.dead_letters, rig.keeper).ready == dead
    rig.close()


@settings(max_examples=40, deadline=None)
@given(
    keys=st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    released=st.sets(st.integers(0, 60)),
)
def test_order_within_a_key_survives_any_batching_and_any_release_of_whole_batches(
    keys: list[str], sizes: list[int], released: set[int]
) -> None:
    rig = Rig(f"memory://{uuid.uuid4().hex}")
    consumer = rig.consumer(rig.requests, group=rig.group, idle_seconds=0.0)
    for i, key in enumerate(keys):
        rig.publish(f"{i}", key=key)
    seen: list[Record] = []
    turn = 0
    while len(seen) < len(keys):
        batch = consumer.poll(sizes[turn % len(sizes)], 1 << 20, 0.0)
        if turn in released:
            consumer.settle(batch, [Release()] * len(batch))
        else:
            consumer.settle(batch, [Done()] * len(batch))
            seen += batch
        turn += 1
    for key in set(keys):
        mine = [int(record.value) for record in seen if record.key == key.encode()]
        assert mine == [i for i, of in enumerate(keys) if of == key]
    rig.close()
