"""From a URL to a broker."""

from pathlib import Path

import pytest

from predictq.brokers import open_broker
from predictq.errors import UserMistake
from predictq.topology import TopicSpec, Topology


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite://host/file.db", "memory://", "memory:///x", "memory://a%20b", "nats://x", ""],
)
def test_a_url_that_names_nothing_is_refused(url: str) -> None:
    with pytest.raises(UserMistake, match="would be right"):
        open_broker(url)


def test_an_absolute_path_has_four_slashes(tmp_path: Path) -> None:
    open_broker(f"sqlite:///{tmp_path}/broker.db").admin().close()
    assert (tmp_path / "broker.db").exists()


@pytest.mark.parametrize("folder", ["a b", "50%20off", "c#", "what?", "file:"])
def test_a_path_is_taken_as_it_is_written(tmp_path: Path, folder: str) -> None:
    open_broker(f"sqlite:///{tmp_path}/{folder}/broker.db").admin().close()
    assert [found.name for found in tmp_path.iterdir()] == [folder]
    assert (tmp_path / folder / "broker.db").exists()


def test_a_relative_path_starts_at_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_broker("sqlite:///var/broker.db").admin().close()
    assert (tmp_path / "var" / "broker.db").exists()


def test_brokers_in_memory_of_one_name_are_one() -> None:
    first, second, other = (open_broker(f"memory://{name}") for name in ("urls-a", "urls-a", "urls-b"))
    admins = [broker.admin() for broker in (first, second, other)]
    admins[0].ensure(Topology("t", (TopicSpec("t.x", 1, 1.0),), ()))
    assert [len(admin.topics("t")) for admin in admins] == [1, 1, 0]
    for admin in admins:
        admin.close()
    for broker in (first, second, other):
        broker.close()
    again = open_broker("memory://urls-a")
    admin = again.admin()
    assert admin.topics("t") == {}
    admin.close()
    again.close()
