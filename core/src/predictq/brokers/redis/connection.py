"""One connection to the server, and what is asked of the server before it is used.

redis-py's client is left out on purpose: it tries a command again whose answer was lost, which doubles what was
written, and it spends more time on an answer of 500 entries than the server does. Its `Connection` and the packing and
parsing of `hiredis` are used directly, here and nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import hiredis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from predictq.brokers.redis.errors import translation
from predictq.brokers.redis.options import Place
from predictq.brokers.redis.scripts import Script
from predictq.errors import BrokerUnavailable, UserMistake

__all__ = ["Answer", "RedisConnection", "Word"]

Word = bytes | str | int | float
"""A word of a command."""
Answer = Any
"""What hiredis makes of an answer: bytes, int, None or a list of answers."""

_OLDEST = (7, 0)


class _Driver(Protocol):
    """What is used of redis-py's connections, which are only half typed."""

    @property
    def is_connected(self) -> bool: ...
    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def can_read(self, timeout: float) -> bool: ...
    def send_packed_command(self, command: Sequence[bytes], check_health: bool) -> None: ...
    def read_response(self, *, disable_decoding: bool, timeout: float) -> Answer: ...


# Typed there as if a command were one word.
_packed: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]


class RedisConnection:
    """Connects at its first call, and again at the call after one that failed. For one thread at a time."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._connection = _driver(place)
        self._ready = False
        self.identifier: int | None = None
        """By which another connection can end a wait of this one; None before the first call."""

    def call(self, *words: Word, wait_seconds: float = 0.0) -> Answer:
        """One command; the server itself may take `wait_seconds` to answer.

        Raises BrokerUnavailable when it is not known whether the command was run.
        """
        with self._translated():
            return _sound(self._answers([words], wait_seconds))[0]

    def calls(self, commands: Sequence[Sequence[Word]]) -> list[Answer]:
        """Several commands in one round trip; raises for the first that failed, after all were answered."""
        with self._translated():
            return _sound(self._answers(commands))

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word]) -> Answer:
        """A script by its digest; a server that does not know it gets its text."""
        return self.run_and(script, keys, arguments)[0]

    def run_and(
        self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], *commands: Sequence[Word]
    ) -> list[Answer]:
        """The same, and other commands in the same round trip; the script's answer comes first."""
        command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        with self._translated():
            answers = self._answers([command, *commands])
            if isinstance(answers[0], NoScriptError):
                # It was not run, so running it is not a repetition.
                answers[:1] = self._answers([("SCRIPT", "LOAD", script.text), command])[1:]
            return _sound(answers)

    def facts(self, *sections: str) -> dict[str, str]:
        """What the server says of itself."""
        return {name: value for text in self.calls([("INFO", one) for one in sections]) for name, value in _facts(text)}

    def close(self) -> None:
        """May be called again."""
        self._ready = False
        self._connection.disconnect()

    def _answers(self, commands: Sequence[Sequence[Word]], wait_seconds: float = 0.0) -> list[Answer]:
        if not self._ready or self._broken():
            self._open()
        return self._sent(commands, wait_seconds)

    def _sent(self, commands: Sequence[Sequence[Word]], wait_seconds: float = 0.0) -> list[Answer]:
        """All answers, refusals among them: each must be read, or it would be taken for that of a later call."""
        connection, timeout = self._connection, self.place.options.answer_seconds + wait_seconds
        connection.send_packed_command([_packed(tuple(words)) for words in commands], check_health=False)
        answers: list[Answer] = []
        for _ in commands:
            try:
                answers.append(connection.read_response(disable_decoding=True, timeout=timeout))
            except ResponseError as refused:
                answers.append(refused)
        return answers

    def _broken(self) -> bool:
        """Whether the server has closed the connection since the last answer: found out before anything is sent."""
        try:
            return self._connection.can_read(0)
        except RedisError:
            return True

    def _open(self) -> None:
        self._connection.disconnect()
        self._connection.connect()
        server, memory, self.identifier = _sound(self._sent([("INFO", "server"), ("INFO", "memory"), ("CLIENT", "ID")]))
        _check({**dict(_facts(server)), **dict(_facts(memory))}, self.place)
        self._ready = True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            problem = translation(error, self.place.shown)
            if isinstance(problem, BrokerUnavailable) or not self._connection.is_connected:
                self._ready = False
            raise problem from error
        except UserMistake:
            self.close()
            raise


def _driver(place: Place) -> _Driver:
    options = place.options
    settings: dict[str, Any] = {
        "host": place.host,
        "port": place.port,
        "db": place.database,
        "username": place.user,
        "password": place.password,
        "socket_connect_timeout": options.connect_seconds,
        "socket_timeout": options.answer_seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "socket_read_size": 1 << 18,
        "client_name": "predictq",
    }
    kind: Callable[..., _Driver] = Connection
    if place.tls:
        kind = SSLConnection
        settings |= {
            "ssl_ca_certs": options.tls_ca_file,
            "ssl_certfile": options.tls_cert_file,
            "ssl_keyfile": options.tls_key_file,
            "ssl_cert_reqs": "required" if options.tls_verify else "none",
            "ssl_check_hostname": options.tls_verify,
        }
    return kind(**settings)


def _sound(answers: list[Answer]) -> list[Answer]:
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


def _facts(info: bytes) -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return [(name, value) for name, colon, value in lines if colon]


def _check(facts: dict[str, str], place: Place) -> None:
    """Raises UserMistake for a server on which messages would be lost."""
    version = facts.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < _OLDEST:
        raise UserMistake(f"broker {place.shown}: it is Redis {version}; 7.0 or later, or Valkey, would be right")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise UserMistake(
            f"broker {place.shown}: its maxmemory-policy is {policy}, which throws messages away when memory is short; "
            "`CONFIG SET maxmemory-policy noeviction`, and the same in its redis.conf"
        )
    if facts.get("redis_mode") == "cluster":
        raise UserMistake(
            f"broker {place.shown}: it is one node of a Redis Cluster, which predictq does not speak to; "
            "name a single server"
        )
