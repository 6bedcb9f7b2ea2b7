"""The rules of the settings: of which objects jobs are made, and which jobs."""

from typing import Any

import pytest

from predictq.errors import SettingsError
from predictq.messages import JOB, JobData
from predictq.names import Names
from predictq.settings import Settings
from predictq_producers.events.object_events import ObjectEvent
from predictq_producers.events.rules import Followed, Rules
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused
from predictq_producers.requests import request_makers

RULE = {"bucket": "incoming", "prefix": "rows/", "suffix": ".csv", "endpoint": "e"}


def rules(**given: dict[str, Any]) -> Rules:
    settings = Settings.model_validate(
        {
            "endpoints": {"e": {}, "other": {}, "empty": {}},
            "deployments": {"d": {"endpoint": "e", "model": "m"}, "o": {"endpoint": "other", "model": "m"}},
            "rules": given,
        }
    )
    makers = request_makers(settings, max_message_bytes=1_000_000)
    return Rules(settings.rules, JobMaker(Names(), makers, settings.jobs))


def put(key: str = "rows/a.csv", version: str = "etag:1", bucket: str = "incoming") -> ObjectEvent:
    return ObjectEvent("ObjectCreated:Put", bucket, key, version)


def data_of(followed: Followed) -> JobData:
    [job] = followed.jobs
    return JOB.decode(job.message.value)["data"]


def test_an_object_that_matches_becomes_a_job() -> None:
    options = {"format": "csv", "id_column": "id", "keep": ["name"], "metadata": {"team": "a"}}
    rule = {**RULE, "options": options, "result": "s3://results/{name}/{key}.parquet"}
    followed = rules(first=rule).follow([put()])
    [job] = followed.jobs
    assert job.message.topic == "predictq.e.jobs"
    assert data_of(followed) == {
        "job_id": job.id,
        "endpoint": "e",
        "state": "accepted",
        "source": {"url": "s3://incoming/rows/a.csv", "name": "a.csv", "format": "csv"},
        "keep": ["name"],
        "id_column": "id",
        "metadata": {"team": "a", "rule": "first", "bucket": "incoming", "key": "rows/a.csv"},
        "result": {"url": "s3://results/a/rows/a.csv.parquet", "format": "parquet"},
    }


def test_the_content_that_is_meant_goes_with_the_job_where_its_store_tells_content_apart() -> None:
    event = put()._replace(etag="abc")
    assert data_of(rules(first=RULE).follow([event]))["source"].get("etag") == "abc"
    elsewhere = {**RULE, "source_url": "https://cdn.example/{bucket}/{key}"}
    assert "etag" not in data_of(rules(first=elsewhere).follow([event]))["source"]


def test_each_content_of_an_object_is_one_job_however_often_it_is_told() -> None:
    first = rules(first=RULE)
    told = [put(), put(version="etag:2"), put(), put("rows/b.csv")]
    assert len(first.follow(told).jobs) == 3
    assert first.follow([put()]).jobs[0].id == first.follow(told).jobs[0].id


def test_each_rule_makes_a_job_of_its_own() -> None:
    both = rules(first=RULE, second={**RULE, "endpoint": "other"})
    assert [job.rule for job in both.follow([put()]).jobs] == ["first", "second"]
    assert [job.rule for job in both.follow([put()], endpoint="other").jobs] == ["second"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (put("other/a.csv"), "no rule matches"),
        (put("rows/a.txt"), "no rule matches"),
        (put(bucket="incoming2"), "no rule matches"),
        (ObjectEvent("ObjectRemoved:Delete", "incoming", "rows/a.csv", ""), "no object was created"),
        (put("rows/"), "folder"),
    ],
)
def test_what_is_ignored_says_why(event: ObjectEvent, reason: str) -> None:
    followed = rules(first=RULE).follow([event])
    assert not followed.jobs
    assert reason in followed.ignored[0].reason


@pytest.mark.parametrize("key", ["rows/../../secret.csv", "rows/a\n*?[b]::c.csv", "rows/%2e.csv", "rows/a b+ä.csv"])
def test_of_s3_any_key_is_one_key(key: str) -> None:
    assert data_of(rules(first=RULE).follow([put(key)]))["source"]["url"] == f"s3://incoming/{key}"


def test_elsewhere_a_key_never_leads_out_of_its_folder_and_is_encoded() -> None:
    disk = rules(first={**RULE, "source_url": "file:///srv/{bucket}/{key}"})
    assert (
        data_of(disk.follow([put("rows/a%2F#?.csv")]))["source"]["url"] == "file:///srv/incoming/rows/a%252F%23%3F.csv"
    )
    for key in ("rows/../a.csv", "rows/..\\a.csv", "rows/./a.csv"):
        assert not disk.follow([put(key)]).jobs


def test_a_url_that_no_message_holds_is_ignored() -> None:
    long = rules(first={**RULE, "source_url": "https://store.test/{bucket}/{key}/{key}"})
    followed = long.follow([put(f"rows/{'%' * 1000}.csv")])
    assert not followed.jobs
    assert "4096" in followed.ignored[0].reason


def test_where_nobody_serves_the_endpoint_the_store_may_try_again() -> None:
    with pytest.raises(Refused) as caught:
        rules(first={**RULE, "endpoint": "empty"}).follow([put()])
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"source_url": "s3://{buket}/{key}"}, "rules.first.source_url"),
        ({"source_url": "{bucket}/{key}"}, "rules.first.source_url"),
        ({"result": "s3://results/{key}"}, "rules.first.result: .* an ending of .csv"),
        ({"result": "s3://incoming/rows/out/{name}.csv"}, "match the rule itself"),
        ({"options": {"fromat": "csv"}}, "rules.first.options: .*/fromat is unknown"),
        ({"options": {"metadata": 5}}, "rules.first.options: .*/metadata"),
    ],
)
def test_a_rule_that_could_not_be_followed_is_refused_at_start(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        rules(first={**RULE, **changed})


def test_a_result_in_the_same_bucket_is_fine_where_it_does_not_match() -> None:
    rules(first={**RULE, "result": "s3://incoming/results/{name}.csv"})
    rules(first={**RULE, "result": "s3://incoming/rows/{name}.parquet"})
