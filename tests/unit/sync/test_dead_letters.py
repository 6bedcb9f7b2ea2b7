"""Dead letters are kept whole, and can be sent again."""

from collections.abc import Sequence

import pytest
from tests.unit.sync.conftest import LIMITS, NAMES, NOW

from predictq.brokers import Message, Record
from predictq.brokers.copies import dead_letter
from predictq.errors import PublishError
from predictq_sync.database import Database
from predictq_sync.dead_letters import DeadLetterKeeper
from predictq_sync.redriving import Filter, count, find, load, purge, redrive

BODY = b"\xff\x00 any bytes \x1b[31m"


class Published:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.error: Exception | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        if self.error is not None:
            raise self.error
        self.messages += messages

    def close(self) -> None: ...


@pytest.fixture
def keeper(database: Database) -> DeadLetterKeeper:
    return DeadLetterKeeper(database=database, limits=LIMITS, clock=lambda: NOW)


def _died(
    *,
    group: str,
    topic: str | None = None,
    position: str = "17",
    reason: str = "model said no",
    headers: dict[str, str] | None = None,
    now: float = NOW,
) -> Record:
    """As it comes back from the dead-letters topic after the broker wrote it there."""
    origin = Record(topic or NAMES.requests("tumours"), 2, position, BODY, b"key", headers or {}, NOW - 9, 1)
    message = dead_letter(origin, group, reason, now)
    return Record(message.topic, 0, "0", message.value, message.key, message.headers, now, 0)


WORKERS = NAMES.workers("tumours", "linear")
RETRIES = NAMES.retries("tumours", "linear")


def test_a_dead_letter_is_kept_whole(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(group=WORKERS, headers={"attempt": "4", "trace": "ä"})])

    (letter,) = find(database, Filter(), limit=10)
    assert letter == load(database, letter.id)
    assert letter._replace(id="") == (
        "",
        "tumours",
        WORKERS,
        "model said no",
        4,
        1,
        0,
        NAMES.requests("tumours"),
        2,
        "17",
        b"key",
        BODY,
        {"attempt": "4", "trace": "ä"},
        "2026-11-30T15:03:56.500Z",
        "2026-11-30T15:04:05.500Z",
        "open",
        None,
        None,
    )


def test_a_redelivery_is_no_second_row_and_another_group_is(keeper: DeadLetterKeeper, database: Database) -> None:
    died = _died(group=WORKERS)
    keeper.handle([died, died])
    keeper.handle([_died(group=WORKERS, now=NOW + 5)])
    assert count(database, Filter()) == 1

    keeper.handle([_died(group=NAMES.workers("tumours", "forest")), _died(group=WORKERS, position="18")])
    assert count(database, Filter()) == 3


def test_anything_at_all_on_the_topic_is_kept(keeper: DeadLetterKeeper, database: Database) -> None:
    topic = NAMES.dead_letters("tumours")
    odd = {"dead-attempts": "many", "dead-partition": "-1", "redrive": "9" * 30, "dead-reason": "a\0b\ud800", "x": "\0"}
    keeper.handle([Record(topic, 0, "1", b"", None, {}, NOW, 0), Record(topic, 0, "2", b"", None, odd, NOW, 0)])

    letters = {letter.origin_position: letter for letter in find(database, Filter(), limit=10)}
    assert (letters["1"].reason, letters["1"].group_name, letters["1"].origin_topic) == ("unknown", "", topic)
    assert (letters["2"].reason, letters["2"].attempts, letters["2"].redrive) == ("a\\0b\\ud800", 1, 0)
    assert letters["2"].headers == {"redrive": "9" * 30, "x": "\\0"}


def test_filters(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(group=f"predictq.tumours.d{n}", position=str(n), now=NOW + n) for n in range(5)])

    assert [letter.origin_position for letter in find(database, Filter(), limit=2)] == ["4", "3"]
    assert count(database, Filter(group="predictq.tumours.d2")) == 1
    assert count(database, Filter(endpoint="tumours")) == 5
    assert count(database, Filter(endpoint="fraud")) == 0
    assert count(database, Filter(state="redriven")) == 0


@pytest.mark.parametrize(
    ("group", "origin", "topic"),
    [
        (WORKERS, NAMES.requests("tumours"), NAMES.retries("tumours", "linear")),
        (WORKERS, NAMES.retries("tumours", "linear"), NAMES.retries("tumours", "linear")),
        (NAMES.ledger_group, NAMES.bulk("tumours"), NAMES.bulk("tumours")),
        (NAMES.intake_group, NAMES.intake("tumours"), NAMES.intake("tumours")),
        (NAMES.store_group, NAMES.predictions("tumours"), NAMES.predictions("tumours")),
    ],
)
def test_a_redrive_sends_the_original_to_whoever_gave_it_up(
    keeper: DeadLetterKeeper, database: Database, group: str, origin: str, topic: str
) -> None:
    keeper.handle([_died(group=group, topic=origin, headers={"attempt": "4", "alone": "1", "redrive": "2", "t": "x"})])
    producer = Published()

    redriven = redrive(database, producer, NAMES, find(database, Filter(), limit=10), {topic}, NOW + 60)

    assert (
        producer.messages
        == [message for _, message in redriven.sent]
        == [Message(topic, BODY, b"key", {"t": "x", "redrive": "3"})]
    )
    (letter,) = find(database, Filter(state="redriven"), limit=10)
    assert letter.redriven_at == "2026-11-30T15:05:05.500Z"


def test_what_could_not_be_sent_stays_open(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(group=WORKERS)])
    producer = Published()
    producer.error = PublishError("away", [0])

    with pytest.raises(PublishError):
        redrive(database, producer, NAMES, find(database, Filter(), limit=10), {RETRIES}, NOW)

    assert count(database, Filter(state="open")) == 1


def test_a_letter_of_a_retired_deployment_holds_up_no_other(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(group=WORKERS), _died(group=NAMES.workers("tumours", "retired"))])
    producer = Published()

    redriven = redrive(database, producer, NAMES, find(database, Filter(), limit=10), {RETRIES}, NOW)

    assert [message.topic for message in producer.messages] == [RETRIES]
    assert [(a.group_name, topic) for a, topic in redriven.undeliverable] == [
        (NAMES.workers("tumours", "retired"), NAMES.retries("tumours", "retired"))
    ]
    assert [letter.group_name for letter in find(database, Filter(state="open"), limit=10)] == [
        NAMES.workers("tumours", "retired")
    ]


def test_purging(keeper: DeadLetterKeeper, database: Database) -> None:
    keeper.handle([_died(group=f"predictq.tumours.d{n}", position=str(n)) for n in range(3)])
    keep = find(database, Filter(group="predictq.tumours.d1"), limit=1)[0]

    assert purge(database, Filter(ids=[find(database, Filter(group="predictq.tumours.d0"), limit=1)[0].id])) == 1
    assert purge(database, Filter(group="predictq.tumours.d2")) == 1
    assert find(database, Filter(), limit=10) == [keep]


def test_others_chores_are_done_on_each_tick(database: Database) -> None:
    done: list[int] = []
    DeadLetterKeeper(database=database, limits=LIMITS, housekeeping=lambda: done.append(1)).tick()
    assert done == [1]
