"""Ports for servers: no two workers of a run are given the same."""

import pytest
from tests.servers.ports import free_port


def test_workers_take_from_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    given: list[set[int]] = []
    for worker in ("gw0", "gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        given.append({free_port() % 3 for _ in range(20)})
    assert [len(remainders) for remainders in given] == [1, 1, 1]
    assert len(set.union(*given)) == 3


def test_one_that_stands_in_for_a_worker_that_crashed_has_ports_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw5")
    assert free_port() not in {free_port() for _ in range(20)}
