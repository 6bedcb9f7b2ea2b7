"""What the URL says: hosts, credentials, virtual host, and the adapter's own options."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from predictq.brokers.urls import split_url
from predictq.errors import UserMistake

__all__ = ["Options", "Place", "place_of"]

_PORTS = {"amqp": 5672, "amqps": 5671}
_EXAMPLE = "amqp://user:password@host:5672/vhost"


class Options(BaseModel):
    """Options in the query of the URL. Each has a default that suits a RabbitMQ as it is installed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long a host may take to accept a connection before the next one is tried."""
    answer_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long the server may take to confirm messages, or to answer anything else, before that counts as an outage."""
    heartbeat_seconds: int = Field(default=30, ge=2, le=600)
    """Of producers and administration; a consumer's heartbeat follows from its claim time."""
    consumer_timeout_seconds: float = Field(default=1800.0, gt=0)
    """The server's own `consumer_timeout`: it takes back what was handed out and not acknowledged for so long."""
    ca_file: Path | None = None
    """Certificates that a server's certificate must descend from, for amqps://; the system's by default."""
    client_certificate: Path | None = None
    """Our own certificate, for servers that ask for one."""
    client_key: Path | None = None
    """The key of our own certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server is and how to enter it."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    vhost: str
    options: Options

    @property
    def shown(self) -> str:
        """The place without anything secret, for messages and logs."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{hosts}/{'' if self.vhost == '/' else self.vhost}"

    def __repr__(self) -> str:
        return f"Place({self.shown})"

    def tls(self) -> ssl.SSLContext | None:
        """What amqps:// needs. Raises UserMistake for a file that cannot be read."""
        if self.scheme != "amqps":
            return None
        try:
            context = ssl.create_default_context(cafile=self.options.ca_file)
            if self.options.client_certificate is not None:
                context.load_cert_chain(self.options.client_certificate, self.options.client_key)
        except (OSError, ssl.SSLError) as error:
            raise UserMistake(f"broker {self.shown}: a certificate of its options cannot be read: {error}") from error
        return context


def place_of(url: str) -> Place:
    """Take a URL apart. Raises UserMistake; no message of it holds the password."""
    parts = split_url(url)
    user_info, at, addresses = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    hosts = tuple(_address(text, parts.scheme) for text in addresses.split(","))
    return Place(
        scheme=parts.scheme,
        hosts=hosts,
        user=unquote(user) if at else "guest",
        password=unquote(password) if at else "guest",
        vhost=unquote(parts.path[1:]) or "/",
        options=_options(parts.query),
    )


def _address(text: str, scheme: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(_PORTS[scheme])
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserMistake(f"broker: {text!r} is no address of a server; {_EXAMPLE} would be right")
    return host.strip("[]"), int(port)


def _options(query: str) -> Options:
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(Options.model_fields))
            raise UserMistake(f"broker: amqp:// knows no option {name!r}; it knows {known}") from None
        raise UserMistake(f"broker: option {name} of amqp:// is {given.get(name)!r}: {first['msg']}") from None
