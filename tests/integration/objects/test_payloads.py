"""Payloads of large requests on S3."""

import pytest
from pydantic_core import to_json
from tests.integration.objects.conftest import Store

from predictq.errors import BadMessage, StorageUnavailable
from predictq.messages import hash_of
from predictq.payloads import Payload, Payloads
from predictq.storage import Storage

NOW = 1_796_051_045.0  # 2026-11-30T15:04:05Z
ID = "019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90"
HOUR = 3600.0


@pytest.fixture
def payloads(store: Store) -> Payloads:
    return Payloads(Storage(f"s3://{store.bucket}/predictq", store.options))


def written(payloads: Payloads, instances: list[object], *, now: float = NOW) -> Payload:
    payload = payloads.new(ID, to_json(instances), hash_of(instances), now)
    payload.write()
    return payload


def test_what_is_written_is_read_back_from_one_object(payloads: Payloads, store: Store) -> None:
    rows: list[object] = [[float(n)] * 1000 for n in range(1000)]  # 6 MB, more than one part
    payload = written(payloads, rows)
    written(payloads, rows)
    assert store.listed() == [f"predictq/requests/2026-11-30T15/{ID}-{hash_of(rows)[:16]}.json"]
    assert payload.url == f"s3://{store.bucket}/{store.listed()[0]}"
    assert payloads.read(payload.url, hash_of(rows), max_bytes=1 << 25) == rows
    with pytest.raises(BadMessage, match="more than 1000000 bytes"):
        payloads.read(payload.url, hash_of(rows), max_bytes=1_000_000)


def test_another_bucket_is_never_read(payloads: Payloads, store: Store) -> None:
    store.client.create_bucket(Bucket="secrets")
    store.client.put_object(Bucket="secrets", Key="requests/2026-11-30T15/x.json", Body=to_json([[1]]))
    store.put("predictq-other/requests/2026-11-30T15/x.json", to_json([[1]]))
    for url in (
        "s3://secrets/requests/2026-11-30T15/x.json",
        f"s3://{store.bucket}/predictq-other/requests/2026-11-30T15/x.json",
    ):
        with pytest.raises(BadMessage, match=r"names no payload below jobs\.storage"):
            payloads.read(url, hash_of([[1]]), max_bytes=1000)


def test_one_that_is_gone_is_told_from_a_bucket_that_is(payloads: Payloads, store: Store) -> None:
    payload = written(payloads, [[1]])
    store.client.delete_object(Bucket=store.bucket, Key=store.listed()[0])
    with pytest.raises(BadMessage, match="not in the storage, or not any more"):
        payloads.read(payload.url, hash_of([[1]]), max_bytes=1000)
    store.client.delete_bucket(Bucket=store.bucket)
    with pytest.raises(StorageUnavailable):
        payloads.read(payload.url, hash_of([[1]]), max_bytes=1000)


def test_whole_hours_are_forgotten_and_nothing_else(payloads: Payloads, store: Store) -> None:
    assert list(payloads.forget(NOW)) == []
    written(payloads, [[1]], now=NOW - HOUR)
    written(payloads, [[2]], now=NOW - HOUR)
    young = written(payloads, [[3]])
    store.put("predictq/jobs/1/input", b"1")
    assert list(payloads.forget(NOW)) == [2]
    assert store.listed() == ["predictq/jobs/1/input", young.url.removeprefix(f"s3://{store.bucket}/")]
    # What another process wrote meanwhile is seen.
    store.put("predictq/requests/2026-11-30T14/late.json", b"[[1]]")
    assert list(payloads.forget(NOW)) == [1]
