"""The callback of a job: a URL or an object, and only from whom the gateway takes one."""

from typing import Any

import pytest

from predictq.messages import JOB, JobData
from predictq.names import Names
from predictq.push.callbacks import CallbackCheck
from predictq.push.secrets import new_secret
from predictq.settings import DeploymentSettings, EndpointSettings, PushSettings, Settings
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers

URL = "https://example.org/hook"
SETTINGS = Settings(
    endpoints={"sums": EndpointSettings()},
    deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
    push=PushSettings.model_validate({"secret": new_secret()}),
)


def asked(callback: Any, *, check: CallbackCheck | None) -> JobData:
    makers = request_makers(SETTINGS, max_message_bytes=1 << 20)
    maker = JobMaker(Names(), makers, SETTINGS.jobs, callbacks=check)
    return JOB.decode(maker.of_upload("sums", "1", "file:///x", "rows.csv", {"callback": callback}).value)["data"]


@pytest.mark.parametrize(
    ("callback", "made"),
    [
        (URL, {"url": URL}),
        ({"url": URL}, {"url": URL}),
        (f'{{"url": "{URL}", "events": ["job.progress"]}}', {"url": URL, "events": ["job.progress"]}),
    ],
)
def test_a_url_an_object_or_its_json(callback: Any, made: Any) -> None:
    assert asked(callback, check=CallbackCheck(SETTINGS.push)).get("callback") == made


def test_none_is_none() -> None:
    assert "callback" not in asked(None, check=CallbackCheck(SETTINGS.push))


@pytest.mark.parametrize(
    ("callback", "pointer"),
    [
        ("{", "/callback"),
        (7, "/callback"),
        ("ftp://example.org", "/callback/url"),
        ({"url": URL, "events": ["prediction.failed"]}, "/callback/events"),
        ({"url": URL, "colour": "red"}, "/callback/colour"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(callback: Any, pointer: str) -> None:
    with pytest.raises(Refused) as caught:
        asked(callback, check=CallbackCheck(SETTINGS.push))
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_where_none_is_taken_it_is_an_unknown_option() -> None:
    with pytest.raises(Refused) as caught:
        asked(URL, check=None)
    (fault,) = caught.value.faults
    assert fault.pointer == "/callback"
    assert "callback" not in fault.detail
