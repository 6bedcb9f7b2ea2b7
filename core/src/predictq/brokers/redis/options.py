"""Where a Redis is, and how to speak to it: the URL."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from predictq.errors import UserMistake

__all__ = ["Options", "Place", "place_of"]

_EXAMPLE = "redis://user:password@localhost:6379/0 would be right"


class Options(BaseModel):
    """What the query of a `redis://` URL may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_seconds: float = Field(default=5.0, gt=0)
    """How long connecting may take."""
    answer_seconds: float = Field(default=10.0, gt=0)
    """How long an answer may take before the server counts as away."""
    max_length: int = Field(default=0, ge=0)
    """Messages that one partition holds at most, settled ones included; above it publishing waits. 0: no bound but the
    server's memory."""
    tls_ca_file: str | None = None
    """PEM file of the authorities to trust, with `rediss://`; the system's where it is not given."""
    tls_cert_file: str | None = None
    """PEM file of this client's certificate, where the server asks for one."""
    tls_key_file: str | None = None
    """PEM file of the certificate's key."""
    tls_verify: bool = True
    """Whether the server's certificate and host name are checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One database of one server."""

    host: str
    port: int
    database: int
    user: str | None
    password: str | None
    tls: bool
    options: Options

    @property
    def shown(self) -> str:
        """The URL without what must not be seen."""
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        return f"Place({self.shown})"


def place_of(url: str) -> Place:
    """What the URL says. Raises UserMistake, which never repeats a password."""
    parts = urlsplit(url)
    try:
        port = parts.port or 6379
    except ValueError:
        raise UserMistake(f"broker: the port of the redis:// URL is no number up to 65535; {_EXAMPLE}") from None
    if not parts.hostname:
        raise UserMistake(f"broker: the redis:// URL names no host; {_EXAMPLE}")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise UserMistake(f"broker: {database!r} is no number of a database; {_EXAMPLE}")
    return Place(
        host=parts.hostname,
        port=port,
        database=int(database),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        options=_options(parts.query),
    )


def _options(query: str) -> Options:
    given = parse_qsl(query, keep_blank_values=True)
    try:
        return Options.model_validate(dict(given))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, problem["loc"]))
        known = ", ".join(sorted(Options.model_fields))
        if problem["type"] == "extra_forbidden":
            raise UserMistake(f"broker: redis:// has no option {name!r}; it has {known}") from None
        raise UserMistake(f"broker: option {name!r} of the redis:// URL: {problem['msg']}") from None
