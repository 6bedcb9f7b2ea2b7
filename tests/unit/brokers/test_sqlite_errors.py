"""No exception of apsw leaves the adapter, and each comes out as what it means."""

import apsw
import pytest

from predictq.brokers.sqlite.errors import AWAY, DEFECTS, MISTAKES, translated
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

KINDS = [
    kind
    for kind in vars(apsw).values()
    if isinstance(kind, type) and issubclass(kind, apsw.Error) and kind is not apsw.Error
]


def test_every_exception_of_apsw_is_sorted_once() -> None:
    assert sorted(kind.__name__ for kind in (*AWAY, *MISTAKES, *DEFECTS)) == sorted(kind.__name__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_none_leaves_the_adapter(kind: type[apsw.Error]) -> None:
    with pytest.raises(PredictqError, match=r"broker x\.db: .*what happened") as caught, translated("x.db"):
        raise kind("what happened")
    assert isinstance(caught.value, BrokerUnavailable) == (kind in AWAY)
    assert isinstance(caught.value, UserMistake) == (kind in MISTAKES)
    assert isinstance(caught.value.__cause__, kind)


def test_other_exceptions_pass() -> None:
    with pytest.raises(KeyError), translated("x.db"):
        raise KeyError("x")
