"""What the URL of a Kafka may say."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from predictq.brokers.urls import split_url
from predictq.errors import UserMistake

__all__ = ["RECORD_OVERHEAD_BYTES", "Options", "options_of"]

RECORD_OVERHEAD_BYTES = 48_588
"""What a broker's limit leaves for key and headers: its default of 1,048,588 bytes takes messages of 1,000,000."""
_DEFAULT_PORT = 9092


class Options(BaseModel):
    """Every option of `kafka://[user:password@]host:port[,host:port…]?name=value&…`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    servers: tuple[str, ...]
    """`host:port` of the brokers that are asked first; from the part of the URL before the question mark."""
    username: str | None = None
    """For SASL; from the URL's user, percent-decoded."""
    password: str | None = Field(None, repr=False)
    """For SASL; from the URL's password, percent-decoded. Never shown."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to talk to the brokers. With a user in the URL it must be one of the SASL ones."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How the user proves who it is."""
    ssl_cafile: Path | None = None
    """PEM file of the authorities that are trusted; the system's by default."""
    ssl_certfile: Path | None = None
    """PEM file of the client's own certificate, where the brokers ask for one."""
    ssl_keyfile: Path | None = None
    """PEM file of the certificate's key."""
    ssl_check_hostname: bool = True
    """Whether the broker's certificate must be for its host name."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "none"
    """How messages are packed on their way and on disk; lz4 and zstd need a package of their own with kafka-python."""
    replication_factor: int = Field(-1, ge=-1)
    """Copies of each topic that `topics ensure` creates; -1 is the broker's own default. Use 3 in production."""
    message_max_bytes: int = Field(1_000_000, ge=1_000, le=100_000_000)
    """The largest message. Above the default, `topics ensure` sets `max.message.bytes` of its topics accordingly."""
    transactions: bool = False
    """Outputs and acknowledgement become one transaction: readers see them once, and wait for those of a frozen member
    until `transaction_timeout_seconds` have passed."""
    transaction_timeout_seconds: float = Field(10.0, ge=1.0, le=900.0)
    """After it the broker takes back what a member has begun and not finished."""
    session_timeout_seconds: float | None = Field(None, ge=0.2, le=1800.0)
    """After so long without a heartbeat a member counts as dead. Default: the claim's time, but at least 6 s, which is
    the least that brokers allow unless `group.min.session.timeout.ms` says otherwise."""
    handover_seconds: float = Field(5.0, ge=0.0, le=60.0)
    """How long a partition that the group gives to another member waits for what is in hand of it to be settled."""
    connect_seconds: float = Field(10.0, ge=0.1, le=300.0)
    """How long to look for a broker that answers."""
    request_seconds: float = Field(20.0, ge=0.5, le=300.0)
    """How long a publish, a commit or a question to the cluster may take."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        sasl = self.security_protocol.startswith("SASL")
        if sasl and not (self.username and self.password):
            raise ValueError(f"{self.security_protocol} needs a user and a password in the URL, as user:password@host")
        if self.username and not sasl:
            raise ValueError("a user needs security_protocol=SASL_SSL (or SASL_PLAINTEXT)")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile needs ssl_certfile")
        return self

    @property
    def batches_in_hand(self) -> int:
        """With transactions a commit may stay in doubt until the same batch is settled again; nothing of a later one
        may be committed meanwhile."""
        return 1 if self.transactions else 2

    @property
    def shown(self) -> str:
        """The brokers, without user and password."""
        return ",".join(self.servers)


_FROM_ADDRESS = {"servers", "username", "password"}


def options_of(url: str) -> Options:
    """Raises UserMistake which names what is wrong, and never shows the password."""
    parts = split_url(url)
    user, at, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if not hosts or parts.path not in ("", "/"):
        raise UserMistake(
            f"broker: {parts.scheme}://{hosts}{parts.path} is no address; kafka://host:9092 would be right"
        )
    given: dict[str, object] = {"servers": tuple(_with_port(host) for host in hosts.split(","))}
    if at:
        given |= {"username": unquote(name), "password": unquote(password)}
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option in _FROM_ADDRESS or option not in Options.model_fields:
            known = ", ".join(sorted(set(Options.model_fields) - _FROM_ADDRESS))
            raise UserMistake(f"broker: {option!r} is no option of {parts.scheme}://; known are {known}")
        given[option] = value
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
        where = ".".join(str(part) for part in first["loc"]) or f"{parts.scheme}://{hosts}"
        shown = "" if first["loc"][:1] in ((), ("password",)) else f" is {given.get(str(first['loc'][0]))!r}"
        raise UserMistake(f"broker: {where}{shown}: {first['msg'].removeprefix('Value error, ')}") from None


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdecimal() and ":" in host else f"{host}:{_DEFAULT_PORT}"
