"""Instances that are too large for a message wait in the storage; without one they are refused as ever."""

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from predictq.brokers import NO_HEADERS, Done, Message, Record
from predictq.errors import SettingsError, StorageUnavailable
from predictq.messages import REQUEST, RequestEvent, hash_of
from predictq.names import Names
from predictq.payloads import Payloads
from predictq.settings import Settings
from predictq.storage import Storage
from predictq_producers import claim_check as module
from predictq_producers.claim_check import PayloadWriter
from predictq_producers.events.rules import Rules
from predictq_producers.files import Format
from predictq_producers.intake import Intake
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.publishing import Busy
from predictq_producers.refusals import Refused
from predictq_producers.requests import Prepared, RequestMaker, Submission, request_makers
from predictq_producers.submitting import FileSubmit

LIMIT = 1_000_000
ID = "019adf1e-7a2c-7c4e-9b1d-3f5a6c7d8e90"
NOW = 1_796_051_045.0
LARGE = [[0.125] * 1000] * 200  # 1.2 MB
SMALL = [[0.125] * 10]


def settings(folder: Path | None, **claim_check: int) -> Settings:
    return Settings.model_validate(
        {
            "endpoints": {"e": {}},
            "deployments": {"d": {"endpoint": "e", "model": "m"}},
            "jobs": {} if folder is None else {"storage": f"file://{folder}"},
            "claim_check": claim_check,
        }
    )


def maker_of(folder: Path | None, **claim_check: int) -> RequestMaker:
    return request_makers(settings(folder, **claim_check), max_message_bytes=LIMIT)["e"]


def prepared(maker: RequestMaker, instances: list[Any], **more: Any) -> Prepared:
    return maker.prepare(Submission(instances=instances, **more), ID, NOW)


def event_of(message: Message) -> RequestEvent:
    return REQUEST.decode(message.value)


def read(folder: Path, message: Message) -> list[Any]:
    event = event_of(message)
    payloads = Payloads(Storage(f"file://{folder}", {}))
    return payloads.read(event["dataref"], event["data"]["instances_hash"], max_bytes=1 << 30)


def test_a_large_request_is_a_small_message_and_a_payload_of_the_same_hash(tmp_path: Path) -> None:
    request = prepared(maker_of(tmp_path), LARGE, key="k", deadline=NOW + 9, metadata={"a": "b"})

    event = event_of(request.message)
    assert "instances" not in event["data"]
    assert len(request.message.value) < 1000
    assert request.message.key == b"k"
    assert event["data"]["instances_hash"] == request.instances_hash == hash_of(LARGE)
    assert (event["id"], event["data"]["metadata"], event["data"]["deployments"]) == (ID, {"a": "b"}, ["d"])
    assert {"partitionkey", "expirytime"} < event.keys()
    assert list(tmp_path.iterdir()) == [], "nothing is written while it is only prepared"
    assert request.payload is not None
    request.payload.write()
    assert read(tmp_path, request.message) == LARGE
    assert request.size > 1_200_000


def test_a_small_one_is_the_same_message_as_without_a_storage(tmp_path: Path) -> None:
    with_storage, without = prepared(maker_of(tmp_path), SMALL), prepared(maker_of(None), SMALL)
    assert with_storage == without
    assert with_storage.payload is None


def test_the_bound_may_be_lower_than_the_brokers(tmp_path: Path) -> None:
    few = [[0.125] * 1000]
    assert prepared(maker_of(tmp_path), few).payload is None
    assert prepared(maker_of(tmp_path, above_bytes=2000), few).payload is not None


def test_without_a_storage_it_is_refused_and_the_cure_is_named() -> None:
    with pytest.raises(Refused, match=r"the broker takes 934464: .*jobs\.storage") as refused:
        raise_reason(maker_of(None))
    assert "413" in str(refused.value)


def raise_reason(maker: RequestMaker) -> None:
    try:
        prepared(maker, LARGE)
    except Refused as error:
        raise Refused(error.status, f"{error.status} {error.reason}") from error


def test_above_the_hard_limit_it_is_refused_and_the_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        prepared(maker_of(tmp_path, max_bytes=1_200_000), LARGE)
    assert refused.value.status == 413
    assert "at most 1200000 bytes (claim_check.max_bytes)" in refused.value.reason


def test_labels_that_are_too_large_by_themselves_are_refused(tmp_path: Path) -> None:
    labels = {f"{n}": "ö" * 1024 for n in range(32)}
    maker = request_makers(settings(tmp_path), max_message_bytes=130_000)["e"]
    with pytest.raises(Refused, match="without its instances") as refused:
        prepared(maker, LARGE, metadata=labels)
    assert refused.value.faults[0].pointer == "/metadata"


def test_bounds_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"claim_check\.above_bytes: is for where jobs\.storage is set"):
        settings(None, above_bytes=5000)
    with pytest.raises(ValueError, match=r"claim_check\.above_bytes: is above max_bytes"):
        settings(tmp_path, above_bytes=5000, max_bytes=4000)
    with pytest.raises(SettingsError, match="2000000 is more than a request may have on this broker, 934464"):
        maker_of(tmp_path, above_bytes=2_000_000)


class Broken:
    """A producer that is never reached."""

    def publish(self, messages: Sequence[Message]) -> None:
        raise AssertionError(messages)


def test_a_file_is_submitted_payloads_first(tmp_path: Path) -> None:
    published: list[Message] = []

    class Recording:
        def publish(self, messages: Sequence[Message]) -> None:
            for message in messages:
                assert read(tmp_path, message) == LARGE, "its payload is there before"
            published.extend(messages)

    submit = file_submit(tmp_path)
    assert submit.check() == 1
    assert [len(batch) for batch in submit.publish(Recording())] == [1]  # type: ignore[arg-type]
    assert len(published) == 1


def test_nothing_is_published_whose_payload_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="0 requests were submitted before"):
        list(file_submit(tmp_path).publish(Broken()))  # type: ignore[arg-type]


def file_submit(folder: Path) -> FileSubmit:
    stream = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in LARGE))
    return FileSubmit(
        maker_of(folder), stream, name="rows", form=Format.JSONL, instances_per_request=200, clock=lambda: NOW
    )


def test_the_intake_writes_the_payload_before_it_hands_on_the_request(tmp_path: Path) -> None:
    values = settings(tmp_path, above_bytes=2000)
    makers = request_makers(values, max_message_bytes=LIMIT)
    intake = Intake(makers, Rules(values.rules, JobMaker(Names(), makers, values.jobs)))
    rows = [[0.5] * 1000]
    record = Record("predictq.e.intake", 0, "5", json.dumps(rows).encode(), None, NO_HEADERS, NOW, 0)

    [verdict] = intake.handle([record]).verdicts
    assert isinstance(verdict, Done)
    assert read(tmp_path, verdict.outputs[0]) == rows

    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    values = settings(blocked, above_bytes=2000)
    makers = request_makers(values, max_message_bytes=LIMIT)
    intake = Intake(makers, Rules(values.rules, JobMaker(Names(), makers, values.jobs)))
    with pytest.raises(StorageUnavailable):
        intake.handle([record])


def test_no_more_waits_for_the_storage_than_is_allowed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10)
    payloads = Payloads(Storage(f"file://{tmp_path}", {}))
    one, other = (payloads.new(ID, to_json(rows), hash_of(rows), NOW) for rows in ([[1.25] * 5], [[2.25] * 5]))

    async def write() -> tuple[BaseException | None, BaseException | None]:
        writer = PayloadWriter()
        together = await asyncio.gather(writer.write([one]), writer.write([other]), return_exceptions=True)
        await writer.write([other])
        await writer.close()
        return together

    first, second = asyncio.run(write())
    assert first is None
    assert isinstance(second, Busy)
    assert len(list(tmp_path.rglob("*.json"))) == 2
