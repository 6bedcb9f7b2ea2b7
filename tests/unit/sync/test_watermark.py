"""Up to when the ledger says that it is complete."""

from collections.abc import Sequence

from predictq.brokers import Lag
from predictq_sync.database import Database
from predictq_sync.watermark import Watermark, read_watermark


class Clocks:
    """Both clocks at once, and the broker's answers."""

    def __init__(self, told: dict[str, Lag]) -> None:
        self.now = 1000.0
        self.told = told
        self.asked = 0

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        assert group == "predictq.sync.ledger"
        self.asked += 1
        self.now += 0.25  # asking takes time
        return [self.told[topic] for topic in topics]


NOTHING = Lag(ready=0, in_flight=0, oldest_published_at=None, members=1)


def _watermark(database: Database, clocks: Clocks) -> Watermark:
    return Watermark(
        database=database,
        admin=lambda: clocks,  # type: ignore[arg-type, return-value] # lags is all that is asked of it
        group="predictq.sync.ledger",
        topics=tuple(clocks.told),
        clock=lambda: clocks.now,
        monotonic=lambda: clocks.now,
    )


def test_before_any_ledger_there_is_none(database: Database) -> None:
    assert read_watermark(database) is None


def test_with_nothing_left_it_is_the_moment_before_asking(database: Database) -> None:
    clocks = Clocks({"a": NOTHING, "b": NOTHING})
    _watermark(database, clocks).advance()
    assert read_watermark(database) == 1000.0


def test_it_is_the_publish_time_of_the_oldest_message_that_is_left(database: Database) -> None:
    waiting = Lag(ready=5, in_flight=0, oldest_published_at=990.0, members=1)
    in_hand = Lag(ready=0, in_flight=1, oldest_published_at=980.5, members=1)
    _watermark(database, Clocks({"a": waiting, "b": in_hand, "c": NOTHING})).advance()
    assert read_watermark(database) == 980.5


def test_it_stays_where_the_broker_cannot_tell(database: Database) -> None:
    for ready, in_flight in ((5, 0), (0, 5), (0, None)):
        lag = Lag(ready=ready, in_flight=in_flight, oldest_published_at=None, members=None)
        _watermark(database, Clocks({"a": lag})).advance()
    assert read_watermark(database) is None


def test_it_never_goes_back(database: Database) -> None:
    clocks = Clocks({"a": NOTHING})
    first, second = _watermark(database, clocks), _watermark(database, clocks)
    first.advance()
    clocks.told["a"] = Lag(ready=1, in_flight=0, oldest_published_at=5.0, members=1)
    second.advance()
    assert read_watermark(database) == 1000.0


def test_it_goes_back_when_the_clock_that_wrote_it_ran_ahead(database: Database) -> None:
    clocks = Clocks({"a": NOTHING})
    clocks.now = 90_000.0
    _watermark(database, clocks).advance()
    clocks.now = 1000.0
    _watermark(database, clocks).advance()
    assert read_watermark(database) == 1000.0


def test_the_broker_is_asked_at_most_once_a_second(database: Database) -> None:
    clocks = Clocks({"a": NOTHING})
    watermark = _watermark(database, clocks)
    for _ in range(3):
        watermark.advance()
    assert clocks.asked == 1
    clocks.now += 1.0
    watermark.advance()
    assert clocks.asked == 2
    assert read_watermark(database) == 1001.25


def test_a_topic_that_nobody_can_tell_of_holds_it_back(database: Database) -> None:
    unknown = Lag(ready=0, in_flight=None, oldest_published_at=None, members=2)
    _watermark(database, Clocks({"a": NOTHING, "b": unknown})).advance()
    assert read_watermark(database) is None
    _watermark(database, Clocks({"b": NOTHING, "a": unknown})).advance()
    assert read_watermark(database) == 1000.0, "two processes, each of which tells of one topic"


def test_a_topic_that_is_read_no_more_does_not_hold_it_back(database: Database) -> None:
    _watermark(database, Clocks({"retired": NOTHING})).advance()
    clocks = Clocks({"a": NOTHING})
    clocks.now = 2000.0
    _watermark(database, clocks).advance()
    assert read_watermark(database) == 2000.0
