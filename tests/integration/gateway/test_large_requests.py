"""Requests whose instances go to the storage, while that is there and while it is not."""

from collections.abc import Callable

from tests.integration.gateway.conftest import Running

from predictq.messages import hash_of
from predictq.payloads import Payloads
from predictq.settings import Settings
from predictq.storage import Storage

ROWS = [[0.5] * 200] * 5  # 4 kB


def with_storage(settings: Settings) -> Settings:
    values = {
        **settings.model_dump(exclude={"jobs", "claim_check"}),
        "jobs": {"storage": f"file://{settings.folder}/storage"},
        "claim_check": {"above_bytes": 1024},
    }
    return Settings.model_validate(values)


def test_what_is_published_refers_to_what_is_there(run: Callable[..., Running], settings: Settings) -> None:
    running = run(with_storage(settings))
    answer = running.submit({"instances": ROWS}, endpoint="free")
    assert answer.status_code == 202

    [event] = running.requests(1, endpoint="free")
    payloads = Payloads(Storage(f"file://{settings.folder}/storage", {}))
    assert event["id"] == answer.json()["id"]
    assert event["data"]["instances_hash"] == hash_of(ROWS)
    assert payloads.read(event["dataref"], hash_of(ROWS), max_bytes=10_000) == ROWS


def test_a_storage_that_is_away_is_told_and_nothing_is_published(
    run: Callable[..., Running], settings: Settings
) -> None:
    in_the_way = settings.folder / "storage"
    in_the_way.write_text("a file where the folder should be")
    running = run(with_storage(settings))

    refused = running.submit({"instances": ROWS}, endpoint="free", idempotency_key="7")
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["detail"] == "the storage is away or full; try again in a moment"
    assert running.submit({"instances": [[0.5]]}, endpoint="free").status_code == 202, "small ones need no storage"

    in_the_way.unlink()
    again = running.submit({"instances": ROWS}, endpoint="free", idempotency_key="7")
    assert again.status_code == 202
    assert ["dataref" in event for event in running.requests(2, endpoint="free")] == [False, True]
