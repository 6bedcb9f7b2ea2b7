"""Where a job may ask for its result file."""

from typing import Any

import pytest

from predictq.messages import JOB
from predictq.names import Names
from predictq.settings import DeploymentSettings, EndpointSettings, JobSettings, Settings
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers

SETTINGS = Settings(
    endpoints={"sums": EndpointSettings()},
    deployments={"sum": DeploymentSettings(endpoint="sums", model="models:Sum")},
    jobs=JobSettings(results=("file:///srv/out/", "s3://outgoing")),
)


def result_of(options: dict[str, Any], *, trusted: bool = False) -> Any:
    makers = request_makers(SETTINGS, max_message_bytes=1 << 20)
    maker = JobMaker(Names(), makers, SETTINGS.jobs, trusted=trusted)
    message = maker.of_upload("sums", "0195f2d0-0000-7000-8000-000000000001", "file:///in", "rows.csv", options)
    return JOB.decode(message.value)["data"].get("result")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"result": "file:///srv/out/a.csv"}, "csv"),
        ({"result": "file:///srv/out/a.JSONL"}, "jsonl"),
        ({"result": "s3://outgoing/2026/a.parquet"}, "parquet"),
        ({"result": "s3://outgoing/a"}, "csv"),
        ({"result": "s3://outgoing/a.csv", "result_format": "jsonl"}, "jsonl"),
    ],
)
def test_below_the_places_of_the_settings_it_may_and_the_ending_says_the_format(
    options: dict[str, Any], expected: str
) -> None:
    assert result_of(options) == {"url": options["result"], "format": expected}


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file:///srv/outer/a.csv",
        "file:///srv/out/../../etc/cron.d/a",
        "file:///srv/out/%2e%2e/a.csv",
        "s3://outgoing-other/a.csv",
        "s3://outgoing/a.csv::file:///srv/out/a",
        "s3://outgoing/*.csv",
    ],
)
def test_elsewhere_it_may_not_unless_the_operator_asks(url: str) -> None:
    with pytest.raises(Refused) as refused:
        result_of({"result": url})
    assert refused.value.status == 403
    assert "jobs.results" in refused.value.reason

    assert result_of({"result": url}, trusted=True)["url"] == url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"result": "out/a.csv"}, "the result is no URL of a file"),
        ({"result": "file:///srv/out/"}, "the result is no URL of a file"),
        ({"result": 7}, "the result is no URL of a file"),
        ({"result": "file:///srv/out/a", "result_format": "xlsx"}, "one of csv, jsonl, parquet would be right"),
        ({"result_format": "csv"}, "goes with a result"),
    ],
)
def test_what_is_no_place_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as refused:
        result_of(options)
    assert refused.value.status == 422
    assert said in refused.value.reason


def test_a_job_without_one_has_none() -> None:
    assert result_of({}) is None
