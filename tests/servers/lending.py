"""Lend servers to one command, such as the demo: found or started, in the command's settings, given back afterwards."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from urllib.parse import urlsplit, urlunsplit

from tests.servers.finding import Found, find
from tests.servers.installing import install_missing
from tests.servers.names import ServerName
from tests.servers.services import read_services

BROKERS: Mapping[str, tuple[ServerName, str]] = {
    "confluent": ("kafka", "kafka+confluent"),
    "kafka": ("kafka", "kafka"),
    "rabbitmq": ("amqp", "amqp"),
    "redis": ("redis", "redis"),
}
"""By the name that people use: the server, and the scheme of the URL."""
DATABASES: Mapping[str, ServerName] = {"postgresql": "postgresql"}
EMBEDDED = ("", "embedded")


class CannotLend(Exception):
    """The message says what to write instead."""


def run_with(broker: str, database: str, command: Sequence[str]) -> int:
    """Run `command` with PREDICTQ_BROKER and PREDICTQ_DATABASE set; its exit code.

    What was started for it ends with it, what ran before stays up. An embedded broker or database sets nothing.
    """
    _refuse_unknown("BROKER", broker, BROKERS)
    _refuse_unknown("DATABASE", database, DATABASES)
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        if broker not in EMBEDDED:
            server, scheme = BROKERS[broker]
            url = _borrow(broker, server, stack).url
            settings["PREDICTQ_BROKER"] = urlunsplit(urlsplit(url)._replace(scheme=scheme))
        if database not in EMBEDDED:
            url = _borrow(database, DATABASES[database], stack).url
            settings["PREDICTQ_DATABASE"] = stack.enter_context(_fresh_database(url))
        return _run(command, settings)


def _refuse_unknown(variable: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known and name not in EMBEDDED:
        right = ", ".join(sorted(known))
        raise CannotLend(
            f"{variable}={name} is not known; one of {right} would be right, or nothing for the embedded one"
        )


def _borrow(name: str, server: ServerName, stack: ExitStack) -> Found:
    def look() -> Found | None:
        return find(server, environment=os.environ, services=read_services(), session=stack)

    if (found := look()) is None:
        install_missing([server])
        found = look()
    if found is None:
        raise CannotLend(f"no server for {name}")
    started = found.way in ("container", "local process")
    is_there = "started for this, ends with it" if started else f"running already ({found.way}), stays up"
    print(f"{name}: {is_there}", flush=True)
    return found


@contextmanager
def _fresh_database(url: str) -> Iterator[str]:
    """A database of its own beside the one at `url`; its URL."""
    import psycopg  # noqa: PLC0415 - a driver, for this server alone
    from psycopg import sql  # noqa: PLC0415

    name = f"predictq_{secrets.token_hex(4)}"
    plain = url.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _run(command: Sequence[str], settings: Mapping[str, str]) -> int:
    """Ctrl-C reaches the command by itself; SIGTERM is handed on."""
    with subprocess.Popen(command, env={**os.environ, **settings}) as process:

        def hand_on(number: int, _: FrameType | None) -> None:
            if number == signal.SIGTERM:
                process.send_signal(number)

        before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
