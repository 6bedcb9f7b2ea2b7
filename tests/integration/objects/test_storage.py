"""S3 as the storage of jobs."""

import re

import pytest
from tests.integration.objects.conftest import Store

from predictq.errors import StorageUnavailable, UserMistake
from predictq.storage import NotInStorage, Storage

MEGABYTE = 1 << 20


@pytest.fixture
def storage(store: Store) -> Storage:
    return Storage(f"s3://{store.bucket}/predictq", store.options)


def read(storage: Storage, *parts: str) -> bytes:
    with storage.open(storage.url_of(*parts)) as stream:
        return stream.read()


@pytest.mark.parametrize("body", [b"", b"rows", b"r" * 60 * MEGABYTE], ids=["empty", "small", "in parts"])
def test_what_is_written_is_an_object_once_the_block_has_ended(storage: Storage, store: Store, body: bytes) -> None:
    with storage.writing("jobs", "1", "input") as stream:
        for start in range(0, len(body), MEGABYTE):
            stream.write(body[start : start + MEGABYTE])
        assert store.listed() == []
    assert store.listed() == ["predictq/jobs/1/input"]
    assert store.client.get_object(Bucket=store.bucket, Key="predictq/jobs/1/input")["Body"].read() == body
    assert read(storage, "jobs", "1", "input") == body
    assert storage.exists("jobs", "1", "input")


@pytest.mark.parametrize("body", [b"", b"rows", b"r" * 60 * MEGABYTE], ids=["empty", "small", "in parts"])
def test_what_was_given_up_leaves_nothing(storage: Storage, store: Store, body: bytes) -> None:
    def give_up() -> None:
        with storage.writing("jobs", "1", "input") as stream:
            stream.write(body)
            raise RuntimeError("given up")

    with pytest.raises(RuntimeError, match="given up"):
        give_up()
    assert store.listed() == []
    assert "Uploads" not in store.client.list_multipart_uploads(Bucket=store.bucket)
    assert not storage.exists("jobs", "1", "input")


def test_what_another_process_wrote_or_deleted_is_seen_at_once(storage: Storage, store: Store) -> None:
    assert not storage.exists("jobs", "1", "a")
    store.put("predictq/jobs/1/a", b"1")
    assert read(storage, "jobs", "1", "a") == b"1"
    store.put("predictq/jobs/1/a", b"22")
    assert read(storage, "jobs", "1", "a") == b"22"
    store.client.delete_object(Bucket=store.bucket, Key="predictq/jobs/1/a")
    assert not storage.exists("jobs", "1", "a")
    with pytest.raises(NotInStorage):
        read(storage, "jobs", "1", "a")


def test_a_folder_is_deleted_with_all_that_is_in_it_and_nothing_else(storage: Storage, store: Store) -> None:
    for key in ("jobs/1/input", "jobs/1/chunks/0", "jobs/10/input"):
        store.put(f"predictq/{key}", b"1")
    storage.delete("jobs", "1")
    assert store.listed() == ["predictq/jobs/10/input"]
    storage.delete("jobs", "1")
    store.put("predictq/jobs/1/input", b"2")
    assert storage.exists("jobs", "1", "input")
    assert read(storage, "jobs", "1", "input") == b"2"


def test_without_its_bucket_it_is_unavailable_and_no_file_is_taken_for_deleted(store: Store) -> None:
    lost = Storage("s3://nosuch/predictq", store.options)
    with pytest.raises(StorageUnavailable, match="there is no such bucket"), lost.writing("a") as stream:
        stream.write(b"1")
    with pytest.raises(StorageUnavailable, match="there is no such bucket"):
        read(lost, "a")


def test_wrong_credentials_are_told_in_one_line(store: Store) -> None:
    store.put("predictq/a", b"1")
    store.check_credentials(from_now_on=True)
    wrong = Storage(f"s3://{store.bucket}/predictq", {**store.options, "key": "AKIAWRONG", "secret": "wrong"})
    for call in (lambda: read(wrong, "a"), lambda: wrong.exists("a")):
        with pytest.raises(StorageUnavailable, match="access is refused") as caught:
            call()
        assert "\n" not in str(caught.value)
    with (
        pytest.raises(StorageUnavailable, match=r"access is refused.*\(InvalidAccessKeyId\)"),
        wrong.writing("b") as stream,
    ):
        stream.write(b"1")


def test_none_at_all_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    without = Storage(f"s3://{store.bucket}/predictq", {"endpoint_url": store.url})
    with pytest.raises(StorageUnavailable, match="access is refused: Unable to locate credentials"):
        read(without, "a")


def test_a_server_that_is_away_is_told_in_one_line(store: Store) -> None:
    away = Storage(f"s3://{store.bucket}/predictq", {**store.options, "endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(StorageUnavailable, match=re.escape("http://127.0.0.1:1")) as caught:
        read(away, "a")
    assert "\n" not in str(caught.value)


def test_a_name_that_no_bucket_can_have_is_told_too(store: Store) -> None:
    with pytest.raises(StorageUnavailable, match="Invalid bucket name"):
        read(Storage("s3://no such/predictq", store.options), "a")


def test_a_kind_of_storage_that_nobody_knows_is_a_mistake() -> None:
    with pytest.raises(UserMistake, match="'s4' is no storage"):
        Storage("s4://bucket/predictq", {})
