"""Waiting for what a process needs before it starts."""

import pytest

from predictq.errors import BrokerUnavailable, UserMistake
from predictq.starting import patiently


class Late:
    """Away for the first calls."""

    def __init__(self, calls: int, error: Exception) -> None:
        self._left = calls
        self._error = error

    def __call__(self) -> str:
        if self._left:
            self._left -= 1
            raise self._error
        return "there"


def test_what_comes_up_late_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    assert patiently(Late(2, BrokerUnavailable("nobody answers at 127.0.0.1:1"))) == "there"
    assert caplog.text.count("nobody answers at 127.0.0.1:1; next try in") == 2


def test_what_stays_away_is_told_when_patience_ends() -> None:
    with pytest.raises(BrokerUnavailable, match="nobody answers"):
        patiently(Late(1000, BrokerUnavailable("nobody answers")), seconds=0.2)


def test_a_mistake_is_not_waited_out() -> None:
    with pytest.raises(UserMistake, match="wrong password"):
        patiently(Late(1, UserMistake("wrong password")))
