"""Which addresses only this machine can reach."""

import pytest

from predictq_gateway.server import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_these_are_reached_by_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_these_may_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)
