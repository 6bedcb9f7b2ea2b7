"""Payloads: what is written is read back, what is not ours is never opened, what is old goes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from predictq.errors import BadMessage, StorageUnavailable
from predictq.messages import hash_of
from predictq.payloads import Payload, Payloads
from predictq.storage import Storage

NOW = 1_796_051_045.0  # 2026-11-30T15:04:05Z
ID = "019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90"
ROWS = [{"a": 1.5, "b": "ö"}, [1, 2, None]]
HOUR = 3600.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def payloads(folder: Path) -> Payloads:
    return Payloads(Storage(f"file://{folder}", {}))


def payload_of(payloads: Payloads, instances: list[Any] = ROWS, *, now: float = NOW) -> Payload:
    return payloads.new(ID, to_json(instances), hash_of(instances), now)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_read_back(payloads: Payloads, folder: Path) -> None:
    payload = payload_of(payloads)
    payload.write()
    assert files(folder) == [f"requests/2026-11-30T15/{ID}-{hash_of(ROWS)[:16]}.json"]
    assert payloads.read(payload.url, hash_of(ROWS), max_bytes=1000) == ROWS


def test_written_again_it_is_the_same_file_and_other_instances_are_another(payloads: Payloads, folder: Path) -> None:
    payload_of(payloads).write()
    payload_of(payloads).write()
    assert len(files(folder)) == 1
    other = payload_of(payloads, [[1]])
    other.write()
    assert len(files(folder)) == 2
    assert payloads.read(other.url, hash_of([[1]]), max_bytes=1000) == [[1]]


@pytest.mark.parametrize(
    "dataref",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "s3://other/requests/2026-11-30T15/x.json",
        "{storage}/jobs/1/input",
        "{storage}/requests/../jobs/1/input",
        "{storage}/requests/2026-11-30T15/../../jobs/input",
        "{storage}/requests/2026-11-30T15/%2e%2e/x",
        "{storage}/requests/2026-11-30T15/..",
        "{storage}/requests/2026-11-30T15/.hidden",
        "{storage}/requests/2026-11-30T15/a/b",
        "{storage}/requests/2026-11-30T15/",
        "{storage}/requests/2026-11-30T15/x.json\n",
        "{storage}/requests/2026-11-30T15/x.json?versionId=1",
        "{storage}/requests/x.json",
        "{storage}-other/requests/2026-11-30T15/x.json",
        "simplecache::{storage}/requests/2026-11-30T15/x.json",
        "requests/2026-11-30T15/x.json",
    ],
)
def test_what_is_no_payload_of_this_storage_is_never_opened(payloads: Payloads, folder: Path, dataref: str) -> None:
    for place in ("jobs/1/input", "jobs/input", "requests/x.json", "requests/2026-11-30T15/a/b"):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_json(ROWS))
    with pytest.raises(BadMessage, match=r"names no payload below jobs\.storage"):
        payloads.read(dataref.format(storage=f"file://{folder}"), hash_of(ROWS), max_bytes=1000)


def test_one_that_is_gone_is_told_from_a_storage_that_is(payloads: Payloads, folder: Path) -> None:
    payload = payload_of(payloads)
    payload.write()
    folder.rename(folder.with_name("away"))
    with pytest.raises(StorageUnavailable, match="there is no such folder"):
        payloads.read(payload.url, hash_of(ROWS), max_bytes=1000)
    folder.mkdir()
    with pytest.raises(BadMessage, match="not in the storage, or not any more"):
        payloads.read(payload.url, hash_of(ROWS), max_bytes=1000)


@pytest.mark.parametrize(
    ("content", "instances_hash", "said"),
    [
        (to_json([[2]]), hash_of(ROWS), "holds other instances"),
        (b"[" + b"1," * 600 + b"1]", hash_of(ROWS), "more than 1000 bytes"),
        (b'"a"', hash_of("a"), "holds no list"),
        (b"[]", hash_of([]), "holds no list"),
        (b"", hashlib.sha256().hexdigest(), "holds no JSON"),
    ],
)
def test_content_that_is_not_what_was_promised_is_refused(
    payloads: Payloads, content: bytes, instances_hash: str, said: str
) -> None:
    payload = payloads.new(ID, content, instances_hash, NOW)
    payload.write()
    with pytest.raises(BadMessage, match=said):
        payloads.read(payload.url, instances_hash, max_bytes=1000)


def test_whole_hours_are_forgotten_once_all_in_them_is_old_enough(payloads: Payloads, folder: Path) -> None:
    hour = NOW - NOW % HOUR
    for when in (hour - 1, hour, hour + HOUR - 1):
        payload_of(payloads, [[when]], now=when).write()
    (folder / "jobs/1").mkdir(parents=True)
    (folder / "requests/other").mkdir()

    assert list(payloads.forget(hour - 1)) == []
    assert list(payloads.forget(hour)) == [1]
    assert list(payloads.forget(hour + HOUR - 1)) == []
    assert len(files(folder)) == 2
    assert list(payloads.forget(hour + HOUR)) == [2]
    assert files(folder) == []
    assert (folder / "jobs/1").is_dir()
    assert (folder / "requests/other").is_dir()


def test_where_nothing_was_ever_written_nothing_is_forgotten(payloads: Payloads) -> None:
    assert list(payloads.forget(NOW)) == []
