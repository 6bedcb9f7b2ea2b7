"""The settings of pushes."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from predictq.push.conditions import Condition
from predictq.push.events import check_events
from predictq.push.secrets import check_secret
from predictq.push.signing_keys import check_signing_key
from predictq.push.targets import Targets
from predictq.sections import DAY, Name, Seconds, Section

__all__ = ["PushSettings", "WebhookSettings"]

MINUTE, HOUR = 60.0, 3600.0


def _checked(secret: SecretStr) -> SecretStr:
    check_secret(secret.get_secret_value())
    return secret


def _checked_key(key: SecretStr) -> SecretStr:
    check_signing_key(key.get_secret_value())
    return key


Secret = Annotated[SecretStr, AfterValidator(_checked)]
SigningKey = Annotated[SecretStr, AfterValidator(_checked_key)]


class PushSettings(Section):
    """What all pushes share; docs/push.md shows them at work."""

    secret: Secret | None = None
    """Signs the pushes to callbacks of requests, and to webhooks of the settings that name none: `whsec_` and 24 to 64
    bytes in base64. Without it callbacks are refused."""
    old_secret: Secret | None = None
    """The one before: signs beside it while receivers change over."""
    signing_key: SigningKey | None = None
    """Signs every push asymmetrically too (Ed25519, `v1a`): `whsk_` and 32 bytes in base64. Receivers verify by its
    public key, which `GET /v1/push/keys` tells, and need no secret."""
    old_signing_key: SigningKey | None = None
    """The one before: signs beside it while receivers change over."""
    rotation_seconds: Annotated[float, Field(ge=0)] = DAY
    """How long the old secret of a webhook goes on signing after `POST /v1/webhooks/{id}/rotate`."""
    allow_http: bool = False
    """Whether pushes may go to `http://`, which anyone on the way can read."""
    allow_private_addresses: bool = False
    """Whether they may go to addresses that are not public, such as this machine's own or 10.0.0.0/8."""
    hosts: tuple[str, ...] = ()
    """Names that they may go to, `.example.org` for all below it; any where there are none."""
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = ()
    """Ports that they may go to; any where there are none."""
    ca_file: str | None = None
    """PEM file of the authorities whose certificates are trusted, instead of the system's."""
    schedule_seconds: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1, max_length=50)] = (
        0.0,
        5.0,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    )
    """How long after the one before each try begins; after the last one a delivery has failed."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share by which each of these is drawn longer or shorter."""
    max_retry_after_seconds: Seconds = DAY
    """A receiver's `Retry-After` is honoured up to here."""
    connect_timeout_seconds: Seconds = 5.0
    """For resolving, connecting and TLS."""
    timeout_seconds: Seconds = 15.0
    """Of one try from its start to the end of the answer."""
    max_answer_bytes: Annotated[int, Field(ge=0)] = 64 * 1024
    """An answer is read no further; what it says counts for nothing but its status."""
    host_concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    """Tries of one process that may be under way to one receiver."""
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    """After so many failures in a row a receiver is left alone for a while."""
    breaker_seconds: Seconds = 30.0
    """For how long at first; doubled while a single try then fails too, up to ten times as long."""
    poll_seconds: Seconds = 1.0
    """How often it is looked for deliveries that are due when nothing announces them."""
    job_progress_seconds: Annotated[float, Field(ge=0.1)] = 10.0
    """How often, at most, a job that goes on is told of by `job.progress`."""
    batch_max_events: Annotated[int, Field(ge=1, le=1000)] = 100
    """Events that one push to a webhook with `batch` holds, at most."""
    batch_max_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Of such a push; an event that is larger goes alone."""
    batch_wait_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    """How long the first of them waits for others."""

    def targets(self) -> Targets:
        """The rules for URLs."""
        return Targets(
            allow_http=self.allow_http,
            allow_private_addresses=self.allow_private_addresses,
            hosts=self.hosts,
            ports=self.ports,
        )

    def secrets(self) -> tuple[str, ...]:
        """Those that sign callbacks, the newest first."""
        return tuple(each.get_secret_value() for each in (self.secret, self.old_secret) if each is not None)

    def signing_keys(self) -> tuple[str, ...]:
        """Private keys that sign every push, the newest first."""
        return tuple(each.get_secret_value() for each in (self.signing_key, self.old_signing_key) if each is not None)

    @property
    def signs(self) -> bool:
        """Whether a push that has no secret of its own can be signed."""
        return self.secret is not None or self.signing_key is not None

    @model_validator(mode="after")
    def _check_both(self) -> Self:
        if self.schedule_seconds[0]:
            raise ValueError("push.schedule_seconds: the first try begins at once, so the first number is 0")
        if self.old_secret is not None and self.secret is None:
            raise ValueError("push.old_secret: stands without push.secret; the new one belongs there")
        if self.old_signing_key is not None and self.signing_key is None:
            raise ValueError("push.old_signing_key: stands without push.signing_key; the new one belongs there")
        return self


class WebhookSettings(Section):
    """A subscription; others can be made by `POST /v1/webhooks`."""

    url: str
    """Where it is pushed to."""
    secret: Secret | None = None
    """Signs the pushes, instead of `push.secret`."""
    old_secret: Secret | None = None
    """The one before: signs beside it while the receiver changes over."""
    events: tuple[str, ...] = ()
    """Such as `prediction.failed` or `job.completed`; where there are none, all but `job.progress`."""
    endpoint: Name | None = None
    """Only what belongs to this endpoint."""
    when: str | None = None
    """Only predictions with an output of which this is true, such as `label = fraud` or
    `probabilities.fraud >= 0.9`."""
    batch: bool = False
    """Whether one push holds several events, as a JSON array."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            check_events(self.events)
        except ValueError as error:
            raise ValueError(f"events: {error}") from None
        if self.when is not None:
            try:
                Condition(self.when)
            except ValueError as error:
                raise ValueError(f"when: {error}") from None
        return self
