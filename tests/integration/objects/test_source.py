"""An object as the file of a job."""

from collections.abc import Iterator

import pytest
from tests.integration.objects.conftest import Store

from predictq.messages import JobSource
from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.json_rows import read_json_lines
from predictq_producers.jobs.pieces import Piece
from predictq_producers.jobs.reading import opened, told

LINE = b'{"a": 1}\n'


def source(url: str) -> JobSource:
    return {"url": url, "name": "rows.jsonl", "format": "jsonl"}


def pieces(store: Store, url: str) -> Iterator[Piece]:
    with opened(source(url), store.options, max_bytes=1 << 30) as file, told():
        yield from read_json_lines(file, max_row_bytes=1 << 20)


def rows(store: Store, url: str) -> int:
    return sum(piece.rows for piece in pieces(store, url))


@pytest.mark.parametrize(
    "key",
    [
        "in/rows.jsonl",
        "in/*?[a-z]{1,2}.jsonl",
        "in/../../rows.jsonl",
        "in/a::b.jsonl",
        "in/simplecache::file:rows.jsonl",
        "in/ä b+c%20#d.jsonl",
        "in/a\tb.jsonl",
        "/in//rows.jsonl",
    ],
)
def test_a_key_is_one_key_whatever_it_is_made_of(store: Store, key: str) -> None:
    store.put("in/other.jsonl", LINE * 3)
    store.put("rows.jsonl", LINE * 5)
    store.put(key, LINE * 7)
    assert rows(store, f"s3://{store.bucket}/{key}") == 7


def test_a_pattern_is_no_file(store: Store) -> None:
    store.put("in/a.jsonl", LINE)
    with pytest.raises(BadFile, match="not there"):
        rows(store, f"s3://{store.bucket}/in/*.jsonl")


def test_an_object_that_was_deleted_is_not_there(store: Store) -> None:
    with pytest.raises(BadFile, match=r"^the file is not there; it was deleted or never written$"):
        rows(store, f"s3://{store.bucket}/in/rows.jsonl")


def test_an_object_that_was_overwritten_is_not_the_one_that_was_meant(store: Store) -> None:
    url = f"s3://{store.bucket}/in/rows.jsonl"
    store.put("in/rows.jsonl", LINE)
    meant: JobSource = {**source(url), "etag": store.etag("in/rows.jsonl")}
    with opened(meant, store.options, max_bytes=1 << 30):
        pass
    store.put("in/rows.jsonl", LINE * 2)
    with (
        pytest.raises(BadFile, match="overwritten before it was read"),
        opened(meant, store.options, max_bytes=1 << 30),
    ):
        pytest.fail("it was read")


def test_nor_is_one_without_a_bucket(store: Store) -> None:
    with pytest.raises(BadFile, match=r"^the file is not there; nor is its bucket$"):
        rows(store, "s3://nosuch/in/rows.jsonl")


def test_a_prefix_is_a_folder(store: Store) -> None:
    store.put("in/rows.jsonl", LINE)
    with pytest.raises(BadFile, match="is a folder"):
        rows(store, f"s3://{store.bucket}/in")


def test_wrong_credentials_are_told_in_one_line(store: Store) -> None:
    store.put("in/rows.jsonl", LINE)
    store.check_credentials(from_now_on=True)
    wrong = Store(url=store.url, client=store.client)
    with pytest.raises(BadFile, match=r"may not be read by this process: .*403") as caught:
        rows(wrong, f"s3://{store.bucket}/in/rows.jsonl")
    assert "\n" not in str(caught.value)


def test_a_name_that_no_bucket_can_have_is_told_in_one_line(store: Store) -> None:
    with pytest.raises(BadFile, match="Invalid bucket name") as caught:
        rows(store, "s3://no such/rows.jsonl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [len(LINE), 120 * 1_000_000])
def test_an_object_that_changes_while_it_is_read_is_told(store: Store, size: int) -> None:
    key, body = "in/rows.jsonl", LINE * (size // len(LINE))
    store.put(key, body)
    reading = pieces(store, f"s3://{store.bucket}/{key}")
    next(reading)
    store.put(key, body[: -len(LINE)] + b'{"a": 2}\n')
    with pytest.raises(BadFile, match="changed while it was read"):
        for _ in reading:
            pass


def test_one_that_is_deleted_meanwhile_too(store: Store) -> None:
    store.put("in/rows.jsonl", LINE)
    reading = pieces(store, f"s3://{store.bucket}/in/rows.jsonl")
    next(reading)
    store.client.delete_object(Bucket=store.bucket, Key="in/rows.jsonl")
    with pytest.raises(BadFile, match="not there"):
        for _ in reading:
            pass
