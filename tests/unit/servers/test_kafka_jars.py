"""Kafka's jars are fetched once, and only as they are known."""

import hashlib
from pathlib import Path

import pytest
from tests.servers import kafka_jars

FILES = {"a/one.jar": b"one", "b/two.jar": b"two"}


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two files, and an empty cache."""
    folder = tmp_path / "central"
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(content)
    listed = tmp_path / "list"
    listed.write_text("".join(f"{hashlib.sha256(content).hexdigest()} {path}\n" for path, content in FILES.items()))
    monkeypatch.setattr(kafka_jars, "_CENTRAL", folder.as_uri())
    monkeypatch.setattr(kafka_jars, "_LIST", listed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_they_are_there_once_all_are_fetched(central: Path) -> None:
    assert not kafka_jars.jars_are_there()
    kafka_jars.fetch_jars()
    assert kafka_jars.jars_are_there()
    assert sorted(path.name for path in kafka_jars.jar_folder().iterdir()) == ["one.jar", "two.jar"]


def test_only_what_is_missing_is_fetched(central: Path) -> None:
    kafka_jars.fetch_jars()
    (kafka_jars.jar_folder() / "two.jar").unlink()
    (central / "a/one.jar").unlink()
    kafka_jars.fetch_jars()
    assert kafka_jars.jars_are_there()


def test_a_file_with_another_checksum_is_refused(central: Path) -> None:
    (central / "b/two.jar").write_bytes(b"three")
    with pytest.raises(ValueError, match=r"b/two\.jar has the SHA-256"):
        kafka_jars.fetch_jars()
    assert not kafka_jars.jars_are_there()


def test_the_list_names_kafka_itself() -> None:
    listed = kafka_jars._listed()
    assert "org/apache/kafka/kafka_2.13/4.1.0/kafka_2.13-4.1.0.jar" in [path for _, path in listed]
    assert all(len(checksum) == 64 for checksum, _ in listed)
