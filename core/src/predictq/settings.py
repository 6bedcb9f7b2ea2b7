"""The settings: one `predictq.toml`, each key of which `PREDICTQ_…` in the environment overrides.

Read at the edge of each process by `load_settings` and handed on as values. `docs/settings.md` lists all keys.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as NotJson

from predictq.errors import SettingsError
from predictq.gateway_settings import GatewaySettings
from predictq.job_settings import JobSettings, RuleSettings, ScheduleSettings
from predictq.names import RESERVED_ENDPOINT
from predictq.push.settings import PushSettings, WebhookSettings
from predictq.schedule_checks import check_schedule
from predictq.sections import DAY, Name, Seconds, Section
from predictq.settings_errors import explain, explain_json, misspelt_variables

__all__ = [
    "CONFIG_NAME",
    "ClaimCheckSettings",
    "DeploymentSettings",
    "EndpointSettings",
    "GatewaySettings",
    "JobSettings",
    "PushSettings",
    "RetentionSettings",
    "RuleSettings",
    "ScheduleSettings",
    "Settings",
    "SinkSettings",
    "SyncSettings",
    "WebhookSettings",
    "WorkerSettings",
    "load_settings",
]

CONFIG_NAME = "predictq.toml"


class WorkerSettings(Section):
    """What all workers share, and the intake with them."""

    claim_seconds: Annotated[float, Field(ge=0.5, le=600)] = 10.0
    """How long the broker keeps a dead worker's records from the others; a live one renews its claim."""
    grace_seconds: Seconds = 30.0
    """After SIGTERM, how long the batch in hand may take."""
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None
    """On Kafka, a name of this worker that outlives its process, such as a pod's ordinal: static group membership."""


class SyncSettings(Section):
    """The sync service."""

    max_batch_size: Annotated[int, Field(ge=1, le=20_000)] = 1000
    """Messages that one commit takes."""
    max_batch_wait_seconds: Annotated[float, Field(ge=0, le=10)] = 0.002
    """How long a commit waits for more messages; a backlog never waits."""
    claim_seconds: Annotated[float, Field(ge=0.5, le=600)] = 10.0
    """How long the broker keeps a dead process's records from the others; a live one renews its claim."""
    grace_seconds: Seconds = 30.0
    """After SIGTERM, how long the commit in hand may take."""


class ClaimCheckSettings(Section):
    """Requests that are too large for a message: their instances wait in `jobs.storage`, and the message says where.
    It needs `jobs.storage` to be set, to a place that gateways, workers and the sync service reach."""

    above_bytes: Annotated[int, Field(ge=1024)] | None = None
    """Size of a message above which its instances are taken out; without it, the broker's limit less 64 KiB."""
    max_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = 32 * 1024**2
    """Of the instances of such a request, as JSON; above it 413. By HTTP `gateway.max_body_bytes` is a bound too."""


class RetentionSettings(Section):
    """How long things are kept; `predictq db prune` and the sync service enforce it."""

    topics_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Of what every group has settled, on the embedded broker and on Redis."""
    unsettled_seconds: Annotated[float, Field(ge=60)] = 7 * DAY
    """On Kafka, which deletes by age whether or not a group still needs it: longer than the longest outage."""
    requests_seconds: Seconds = 30 * DAY
    """Of requests and their predictions; also of those that were never answered, which end here."""
    batches_seconds: Seconds = 30 * DAY
    """Of mini-batch records."""
    dead_letters_seconds: Seconds = 90 * DAY
    """Of dead letters, redriven or not."""
    deliveries_seconds: Seconds = 30 * DAY
    """Of deliveries, whatever became of them: longer than `push.schedule_seconds` in all."""
    completions_seconds: Seconds = DAY
    """Of the order in which requests were completed: how long after a cut the stream of an endpoint can be resumed."""


class LogSettings(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""
    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line for collectors."""


class EndpointSettings(Section):
    """A named stream of prediction requests."""

    input: str | None = None
    """JSON Schema file (2020-12) of one instance, or "package.module:PydanticModel"."""
    description: str = ""
    """For people; shown by `GET /v1/endpoints`."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    """Of each topic; at most so many workers of one deployment have work at once."""
    max_instances: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """In one request."""
    ordered: bool = False
    """Requests of one key are predicted in order also on RabbitMQ and Redis, by one worker a partition; the embedded
    broker and Kafka keep that order anyway. A retry gives it up."""


class DeploymentSettings(Section):
    """One model version that serves an endpoint."""

    endpoint: Name
    """The endpoint that it serves."""
    model: str
    """Path of a `.joblib` or `.skops` file, or "package.module:Class"."""
    version: str = "1"
    """Stored with every prediction."""
    role: Literal["live", "shadow", "canary"] = "live"
    """`shadow` is stored and never shown; `canary` answers a share of requests instead of another."""
    of: Name | None = None
    """Canary: the live deployment whose requests it answers a share of."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Canary: of those requests, chosen by a hash of their ids."""
    start: Literal["end", "beginning"] = Field(default="end", alias="from")
    """Where a new group starts to read; `beginning` is for shadows."""
    max_batch_size: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Instances in one predict call."""
    max_batch_wait_seconds: Annotated[float, Field(ge=0, le=60)] = 0.005
    """How long a mini-batch waits for more requests; a backlog never waits."""
    max_predict_seconds: Seconds = 300.0
    """Of one predict call; after it the process exits, which counts as a crash."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 4
    """How often the model is tried on a request when it raises `Retryable`."""
    retry_seconds: Seconds = 1.0
    """Before the second attempt; doubled for each further one, with jitter."""
    retry_max_seconds: Seconds = 300.0
    """Upper bound of the wait before a further attempt."""
    processes: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes, each with a copy of the model."""
    trusted: tuple[str, ...] = ()
    """`.skops`: types beyond scikit-learn's own that may be loaded."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the class."""


class SinkSettings(Section):
    """A user's class that is called with each committed batch of predictions."""

    target: str
    """`package.module:Class`."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the class."""


class Settings(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="PREDICTQ_", env_nested_delimiter="__", case_sensitive=False
    )

    broker: str = "sqlite:///var/predictq.db"
    """`sqlite:///path`, `redis://`, `kafka://`, `kafka+confluent://` or `amqp://`; `memory://name` for tests."""
    broker_options: Mapping[str, str | int | bool] = Field(default_factory=dict)
    """Options of the broker's adapter, the same as in the query of its URL; docs/brokers.md lists them. For secrets."""
    database: str = "sqlite:///var/predictions.db"
    """Where the ledger and the predictions are kept: `sqlite:///path` or `postgresql+psycopg://user:password@host/name`."""
    prefix: Name = "predictq"
    """First part of every topic and group: two installations may share a broker."""
    gateway: GatewaySettings = GatewaySettings()
    worker: WorkerSettings = WorkerSettings()
    sync: SyncSettings = SyncSettings()
    jobs: JobSettings = JobSettings()
    claim_check: ClaimCheckSettings = ClaimCheckSettings()
    push: PushSettings = PushSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    endpoints: dict[Name, EndpointSettings] = Field(default_factory=dict)
    deployments: dict[Name, DeploymentSettings] = Field(default_factory=dict)
    rules: dict[Name, RuleSettings] = Field(default_factory=dict)
    schedules: dict[Name, ScheduleSettings] = Field(default_factory=dict)
    sinks: dict[Name, SinkSettings] = Field(default_factory=dict)
    webhooks: dict[Name, WebhookSettings] = Field(default_factory=dict)
    folder: Path = Path()
    """Where the settings file lies; set by `load_settings`. Relative paths in the settings start here."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment stands above the file."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _check_broker_options(self) -> Self:
        if self.broker_options and self.broker.partition(":")[0] in ("sqlite", "memory"):
            raise ValueError("broker_options: the embedded broker has none")
        return self

    @model_validator(mode="after")
    def _check_claim_check(self) -> Self:
        check = self.claim_check
        if check.above_bytes is not None and not self.has_storage:
            raise ValueError("claim_check.above_bytes: is for where jobs.storage is set, which it is not")
        if check.above_bytes is not None and check.above_bytes > check.max_bytes:
            raise ValueError(f"claim_check.above_bytes: is above max_bytes, which is {check.max_bytes}")
        return self

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        for name, deployment in self.deployments.items():
            at = f"deployments.{name}"
            if deployment.endpoint not in self.endpoints:
                known = ", ".join(sorted(self.endpoints)) or "none is configured"
                raise ValueError(f"{at}.endpoint: {deployment.endpoint!r} is no endpoint; known: {known}")
            if deployment.start == "beginning" and deployment.role != "shadow":
                raise ValueError(f'{at}.from: "beginning" is for role = "shadow" only')
            _check_canary(at, deployment, self.deployments)
        for name, rule in self.rules.items():
            if rule.endpoint not in self.endpoints:
                known = ", ".join(sorted(self.endpoints)) or "none is configured"
                raise ValueError(f"rules.{name}.endpoint: {rule.endpoint!r} is no endpoint; known: {known}")
        for endpoint in self.endpoints:
            if endpoint == RESERVED_ENDPOINT:
                raise ValueError(
                    f"endpoints.{endpoint}: is a name that predictq keeps for its own groups; choose another"
                )
            mine = [d for d in self.deployments.values() if d.endpoint == endpoint]
            _check_shares(endpoint, mine)
            if mine and not any(d.role == "live" for d in mine):
                raise ValueError(
                    f'endpoints.{endpoint}: none of its deployments has role = "live", so no one would answer'
                )
        return self

    @model_validator(mode="after")
    def _check_schedules(self) -> Self:
        for name, schedule in self.schedules.items():
            check_schedule(f"schedules.{name}", schedule, self.endpoints)
        return self

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        for name, webhook in self.webhooks.items():
            at = f"webhooks.{name}"
            if webhook.endpoint is not None and webhook.endpoint not in self.endpoints:
                known = ", ".join(sorted(self.endpoints)) or "none is configured"
                raise ValueError(f"{at}.endpoint: {webhook.endpoint!r} is no endpoint; known: {known}")
            try:
                self.push.targets().check(webhook.url)
            except ValueError as error:
                raise ValueError(f"{at}.url: {error}") from None
            if webhook.secret is None and (webhook.old_secret is not None or not self.push.signs):
                raise ValueError(f"{at}.secret: is missing; set it, or push.secret or push.signing_key for all")
        return self

    def deployments_of(self, endpoint: str) -> dict[str, DeploymentSettings]:
        """The endpoint's deployments by name."""
        return {name: d for name, d in self.deployments.items() if d.endpoint == endpoint}

    def broker_url(self) -> str:
        """The broker's URL with its options, its path absolute where it is a file. Holds secrets."""
        url = _anchored(self.broker, self.folder)
        if not self.broker_options:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.broker_options)}"

    def database_url(self) -> str:
        """The database's URL, its path absolute where it is a file."""
        return _anchored(self.database, self.folder)

    @property
    def has_storage(self) -> bool:
        """Whether somebody has said where the storage is; the default is a folder that other machines do not reach."""
        return "storage" in self.jobs.model_fields_set

    def storage_url(self) -> str:
        """The storage's URL, its path absolute where it is a folder of this machine."""
        return self.file_url(self.jobs.storage)

    def file_url(self, url: str) -> str:
        """A URL of a file or folder as it is, its path absolute where it is one of this machine."""
        scheme, _, rest = url.partition("://")
        return f"file://{(self.folder / rest).resolve()}" if scheme == "file" else url

    def path(self, text: str) -> Path:
        """A path of the settings, seen from the folder of their file."""
        return self.folder / text


def _check_canary(at: str, deployment: DeploymentSettings, all_of_them: Mapping[str, DeploymentSettings]) -> None:
    if deployment.role != "canary":
        if deployment.of is not None or deployment.share is not None:
            raise ValueError(f'{at}: `of` and `share` are for role = "canary" only')
        return
    if deployment.of is None or deployment.share is None:
        raise ValueError(f'{at}: a canary needs `of = "<live deployment>"` and `share = 0.1`')
    named = all_of_them.get(deployment.of)
    if named is None or named.role != "live" or named.endpoint != deployment.endpoint:
        raise ValueError(f"{at}.of: {deployment.of!r} is no live deployment of endpoint {deployment.endpoint!r}")


def _check_shares(endpoint: str, deployments: Sequence[DeploymentSettings]) -> None:
    for of in {d.of for d in deployments if d.of is not None}:
        total = sum(d.share or 0.0 for d in deployments if d.of == of)
        if total >= 1:
            raise ValueError(
                f"endpoints.{endpoint}: {of!r} has canaries with shares of {total:g} in all; below 1 would be right"
            )


def _anchored(url: str, folder: Path) -> str:
    scheme, separator, rest = url.partition("///")
    if scheme.split("+")[0] != "sqlite:" or not separator:
        return url
    return f"{scheme}///{folder / rest}"


def load_settings(path: Path | None = None) -> Settings:
    """The settings of `path`, else of `$PREDICTQ_CONFIG`, else of `./predictq.toml` where it exists.

    Raises SettingsError with key, value and what would be right.
    """
    named = path or (Path(os.environ["PREDICTQ_CONFIG"]) if "PREDICTQ_CONFIG" in os.environ else None)
    file = named or Path(CONFIG_NAME)
    values: dict[str, Any] = {}
    if named is not None or file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(f"{file}: is not TOML: {error}") from error
    if "folder" in values:
        raise SettingsError(f"{file}: folder: is where this file lies and cannot be set")
    if misspelt := "\n".join(misspelt_variables(Settings)):
        raise SettingsError(misspelt)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(explain(error, str(file), Settings)) from error
    except NotJson as error:
        raise SettingsError(explain_json(error)) from error
    return settings.model_copy(update={"folder": file.resolve().parent})
