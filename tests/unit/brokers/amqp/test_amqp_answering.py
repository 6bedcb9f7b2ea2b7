"""Acknowledgements and confirms, in any order that there is."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.amqp.confirming import Publication
from predictq.brokers.amqp.delayed import queue_for
from predictq.brokers.amqp.fetching import Fetching
from predictq.brokers.amqp.queues import DELAY_STEPS_MS, delay_of, group_queues

_ACK = struct.Struct(">BHLHHQBB")


class FakeLine:
    """A channel's number is all that is asked of it."""

    number = 1


class Server:
    """What RabbitMQ does with acknowledgements: an unknown tag closes the channel."""

    def __init__(self, count: int) -> None:
        self.unacknowledged = set(range(1, count + 1))
        self.frames = 0

    def hear(self, block: bytes) -> None:
        for at in range(0, len(block), _ACK.size):
            _, _, _, _, method, tag, multiple, _ = _ACK.unpack_from(block, at)
            assert method == 80
            assert tag in self.unacknowledged, "PRECONDITION_FAILED - unknown delivery tag"
            self.unacknowledged -= {one for one in self.unacknowledged if one <= tag} if multiple else {tag}
            self.frames += 1


def fetching() -> Fetching:
    queues = group_queues("t.e.requests", "t.e.a", 4, ordered=False, single=False)
    return Fetching(queues, FakeLine(), lambda: None)  # type: ignore[arg-type]


@given(data=st.data(), count=st.integers(1, 30))
def test_exactly_what_is_settled_is_acknowledged(data: st.DataObject, count: int) -> None:
    server, source = Server(count), fetching()
    order = data.draw(st.permutations(range(1, count + 1)))
    settled: set[int] = set()
    while order:
        size = data.draw(st.integers(1, len(order)))
        batch, order = order[:size], order[size:]
        server.hear(source.acknowledgement(batch))
        settled |= set(batch)
        assert server.unacknowledged == set(range(1, count + 1)) - settled


def test_a_batch_in_a_row_is_one_acknowledgement() -> None:
    server, source = Server(1000), fetching()
    for first in (1, 501):
        server.hear(source.acknowledgement(range(first, first + 500)))
    assert (server.frames, server.unacknowledged) == (2, set())


confirms = st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.booleans()), max_size=60)


@given(confirms=confirms)
def test_a_publication_knows_what_is_confirmed(confirms: list[tuple[int, bool, bool]]) -> None:
    publication = Publication(5, 10)
    pending, refused = set(range(5, 15)), set()
    for tag, multiple, good in confirms:
        told = {one for one in pending if one <= tag} if multiple else pending & {tag}
        if tag >= 5:
            publication.confirmed(tag, multiple=multiple, good=good)
            pending -= told
            refused |= set() if good else told
        assert publication.failed == sorted(tag - 5 for tag in pending | refused)
        assert publication.over.is_set() == (not pending)


@given(ahead_ms=st.integers(-1000, 10_000_000))
def test_a_delay_is_the_longest_step_that_is_not_too_long(ahead_ms: int) -> None:
    queue = queue_for("home", 1_000_000_000 + ahead_ms, 1_000_000_000)
    fitting = [step for step in DELAY_STEPS_MS if step <= ahead_ms]
    assert queue == (delay_of("home", max(fitting)) if fitting else "home")
