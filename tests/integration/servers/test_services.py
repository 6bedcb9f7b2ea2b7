"""`make services` starts what does not run, and `make services-down` leaves nothing of it."""

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from tests.servers.asking import answers
from tests.servers.local_server import RECORDS, ServerFailed
from tests.servers.redis_server import RedisServer
from tests.servers.services import read_services, start_services, stop_services
from tests.servers.starting import LOCAL_SERVERS


def pids(folder: Path) -> list[int]:
    return [int(line.split()[0]) for line in (folder / RECORDS).read_text().splitlines()]


def test_servers_stay_until_they_are_stopped(tmp_path: Path) -> None:
    file = tmp_path / "services.env"
    urls = start_services(file, ["redis", "postgresql"])
    try:
        known = read_services(file)
        folder = Path(known["PREDICTQ_TEST_SERVICES"])
        assert known["PREDICTQ_TEST_REDIS_URL"] == urls["redis"]
        assert known["PREDICTQ_TEST_POSTGRESQL_URL"] == urls["postgresql"]
        assert start_services(file, ["redis", "postgresql"]) == urls

        (redis,) = pids(folder / "redis")
        psutil.Process(redis).kill()
        psutil.wait_procs([psutil.Process(redis)])
        again = start_services(file, ["redis", "postgresql"])
        assert again["postgresql"] == urls["postgresql"]
        assert answers(again["redis"])
        running = pids(folder / "redis") + pids(folder / "postgresql")
    finally:
        ended = stop_services(file)
    assert ended == ["redis", "postgresql"]
    assert not any(answers(url) for url in again.values())
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in running)
    assert not file.exists()
    assert not folder.exists()


class BrokenRedis(RedisServer):
    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, detached: bool = False) -> None:
        super().__init__(folder, {"maxmemory-policy": "nonsense"}, detached=detached)


def test_one_that_does_not_start_is_told_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services.env"
    monkeypatch.setitem(LOCAL_SERVERS, "redis", BrokenRedis)
    try:
        with pytest.raises(ServerFailed, match="nonsense"):
            start_services(file, ["redis", "postgresql"])
        known = read_services(file)
        assert "PREDICTQ_TEST_REDIS_URL" not in known
        assert answers(known["PREDICTQ_TEST_POSTGRESQL_URL"])
    finally:
        stop_services(file)
    assert not answers(known["PREDICTQ_TEST_POSTGRESQL_URL"])


def test_stopping_what_was_never_started_does_nothing(tmp_path: Path) -> None:
    assert stop_services(tmp_path / "services.env") == []
