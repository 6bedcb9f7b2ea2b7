"""No exception of redis-py leaves the adapter, and each comes out as what it means."""

import pytest
from redis import exceptions

from predictq.brokers.redis.errors import AWAY, DEFECTS, MISTAKES, translation
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

KINDS = [
    kind
    for kind in vars(exceptions).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not exceptions.RedisError
]


def made(kind: type[Exception]) -> Exception:
    """Some take a place and a number."""
    try:
        return kind("1 127.0.0.1:7000")
    except TypeError:
        return kind()


def test_every_exception_of_redis_is_sorted_once() -> None:
    assert sorted(kind.__name__ for kind in (*AWAY, *MISTAKES, *DEFECTS)) == sorted(kind.__name__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_one_of_ours(kind: type[Exception]) -> None:
    error = translation(made(kind), "redis://somewhere")
    assert isinstance(error, PredictqError)
    assert str(error).startswith("broker redis://somewhere: ")
    assert isinstance(error, BrokerUnavailable) == (kind in AWAY)
    assert isinstance(error, UserMistake) == (kind in MISTAKES)


@pytest.mark.parametrize(
    ("answer", "ours", "cure"),
    [
        ("MISCONF Redis is configured to save RDB snapshots", BrokerUnavailable, "make room"),
        ("NOREPLICAS Not enough good replicas to write.", BrokerUnavailable, "replicas"),
        ("OOM command not allowed when used memory > 'maxmemory'.", BrokerUnavailable, "maxmemory"),
        ("NOGROUP No such key '{p.e.0}:requests'", UserMistake, "topics ensure"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", UserMistake, "another `prefix`"),
        ("ERR DB index is out of range", UserMistake, "database of this number"),
        ("ERR unknown command 'XAUTOCLAIM'", UserMistake, "7.0"),
    ],
)
def test_answers_mean_what_their_first_word_says(answer: str, ours: type[PredictqError], cure: str) -> None:
    error = translation(exceptions.ResponseError(answer), "redis://somewhere")
    assert type(error) is ours
    assert cure in str(error)
