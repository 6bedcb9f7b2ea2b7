"""The rules of the settings, which say of which objects jobs are made."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from predictq.brokers.port import Message
from predictq.errors import SettingsError
from predictq.messages import JobResult, JobSource
from predictq.settings import RuleSettings
from predictq_producers.deriving import object_job_id
from predictq_producers.events.object_events import ObjectEvent
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.refusals import Refused

__all__ = ["Followed", "Ignored", "ObjectJob", "Rules"]

MAX_URL = 4096
RESULTS = ("csv", "jsonl", "parquet")
S3 = ("s3", "s3a")
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = {"bucket", "key", "name"}


class ObjectJob(NamedTuple):
    """A job that is to be started on an object."""

    id: str
    endpoint: str
    rule: str
    bucket: str
    key: str
    message: Message


class Ignored(NamedTuple):
    """An object of which no job is made."""

    event: str
    bucket: str
    key: str
    reason: str


class Followed(NamedTuple):
    """What the rules say of some events."""

    jobs: Sequence[ObjectJob]
    ignored: Sequence[Ignored]


class Rules:
    """All rules. Holds no state: that the same content of an object is one job is a matter of the job's id."""

    def __init__(self, rules: Mapping[str, RuleSettings], jobs: JobMaker) -> None:
        """Raises SettingsError for a rule that could never be followed, and for one that would never end."""
        self._rules = rules
        self._jobs = jobs
        for name, rule in rules.items():
            _check_fields(f"rules.{name}.source_url", rule.source_url)
            sample = ObjectEvent("", rule.bucket, f"{rule.prefix}x{rule.suffix}", "")
            if rule.result is not None:
                _check_result(name, rule, sample)
            try:
                self._message(name, rule, sample, "sample")
            except Refused as error:
                raise SettingsError(f"rules.{name}.options: {error.reason}") from error

    def of(self, endpoint: str) -> bool:
        """Whether any of them is of this endpoint."""
        return any(rule.endpoint == endpoint for rule in self._rules.values())

    def follow(self, events: Sequence[ObjectEvent], *, endpoint: str | None = None) -> Followed:
        """The jobs of these events: one for each rule that an object matches. With `endpoint` only its rules count.

        Raises Refused (503) where nobody serves the endpoint of a rule.
        """
        jobs: dict[str, ObjectJob] = {}
        ignored: list[Ignored] = []
        for event in events:
            matching = {
                name: rule
                for name, rule in self._rules.items()
                if endpoint in {None, rule.endpoint} and _matches(rule, event)
            }
            if reason := _ignored(event, matching):
                ignored.append(Ignored(event.name[:100], event.bucket, event.key, reason))
                continue
            for name, rule in matching.items():
                self._jobs.check(rule.endpoint)
                job_id = object_job_id(rule.endpoint, name, event.bucket, event.key, event.version)
                message = self._message(name, rule, event, job_id)
                jobs[job_id] = ObjectJob(job_id, rule.endpoint, name, event.bucket, event.key, message)
        return Followed(list(jobs.values()), ignored)

    def _message(self, name: str, rule: RuleSettings, event: ObjectEvent, job_id: str) -> Message:
        labels = {"rule": name, "bucket": event.bucket, "key": event.key}
        given = rule.options.get("metadata", {})
        options = {**rule.options, "metadata": {**given, **labels} if isinstance(given, dict) else given}
        result: JobResult | None = None
        if rule.result is not None:
            form = rule.result.rpartition(".")[2]
            result = {"url": _filled(rule.result, event), "format": cast("Any", form)}
        source: JobSource = {"url": _filled(rule.source_url, event), "name": event.key.rpartition("/")[2]}
        if event.etag is not None and _scheme(rule.source_url) in S3:
            source["etag"] = event.etag
        return self._jobs.of_rule(rule.endpoint, job_id, source, options, result)


def _matches(rule: RuleSettings, event: ObjectEvent) -> bool:
    return event.bucket == rule.bucket and event.key.startswith(rule.prefix) and event.key.endswith(rule.suffix)


def _ignored(event: ObjectEvent, matching: Mapping[str, RuleSettings]) -> str | None:
    if not event.created:
        return "no object was created"
    if event.key.endswith("/"):
        return "it stands for a folder"
    if not matching:
        return "no rule matches"
    if "?versionId=" in event.key:
        return "its key ends, for whoever reads it, where ?versionId= begins"
    plain = [rule for rule in matching.values() if _scheme(rule.source_url) not in S3]
    # S3 compares keys byte by byte; elsewhere these lead out of the folder.
    if plain and {".", ".."} & set(re.split(r"[/\\]", event.key)):
        return "its key holds . or .. as a part, and the rule's source_url is not of S3"
    urls = [_filled(template, event) for rule in matching.values() for template in (rule.source_url, rule.result or "")]
    return f"its URL has more than {MAX_URL} characters" if max(map(len, urls)) > MAX_URL else None


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _filled(template: str, event: ObjectEvent) -> str:
    """The URL of an object. Of S3 a key is written as it is; elsewhere what has a meaning in URLs is encoded."""
    last = event.key.rpartition("/")[2]
    values = {"bucket": event.bucket, "key": event.key, "name": last.rpartition(".")[0] or last}
    if _scheme(template) not in S3:
        values = {name: quote(value) for name, value in values.items()}
    return _FIELD.sub(lambda found: values[found[1]], template)


def _check_fields(key: str, template: str) -> None:
    wrong = [field for field in _FIELD.findall(template) if field not in _FIELDS]
    if wrong or "{" in _FIELD.sub("", template) or "://" not in template:
        raise SettingsError(f"{key}: {template!r:.200}: a URL with {{bucket}}, {{key}} and {{name}} would be right")


def _check_result(name: str, rule: RuleSettings, sample: ObjectEvent) -> None:
    template = rule.result or ""
    _check_fields(f"rules.{name}.result", template)
    if template.rpartition(".")[2] not in RESULTS:
        known = ", ".join(f".{each}" for each in RESULTS)
        raise SettingsError(f"rules.{name}.result: {template!r:.200}: an ending of {known} would be right")
    if _scheme(template) in S3:
        bucket, _, key = _filled(template, sample).partition("://")[2].partition("/")
        if _matches(rule, ObjectEvent("", bucket, key, "")):
            raise SettingsError(
                f"rules.{name}.result: its objects match the rule itself, so that each result would be a job again; "
                "another bucket, prefix or suffix would be right"
            )
