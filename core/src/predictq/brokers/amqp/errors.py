"""pika's exceptions become ours here; none leaves the adapter.

Reply codes: AMQP 0-9-1, section 1.2 (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf).
"""

import re
import socket
import ssl

from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["ACCESS_REFUSED", "NOT_FOUND", "RESOURCE_LOCKED", "closed_channel", "closed_connection", "code_of"]

ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530

_REFUSED: dict[int, str] = {
    ACCESS_REFUSED: "the user or the password is wrong; mend them in the URL",
    NOT_ALLOWED: "the virtual host does not exist, or this user may not enter it; it is the path of the URL",
}
"""What the user must mend, by reply code."""

_MISTAKES: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.IncompatibleProtocolError, "what answers there does not speak AMQP 0-9-1; look at the port"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted; name the one it descends from with ca_file"),
    (ssl.SSLError, "no TLS came about; amqp:// is without, amqps:// with"),
)
"""The same, by exception."""

_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The stream ended in the middle of TLS, which says nothing about the settings."""

_TROUBLES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the host's name is not known; look at the URL, or at DNS"),
    (ConnectionRefusedError, "nothing listens there; look at host and port, or start it"),
)
"""What may pass by itself."""

_INEQUIVALENT = re.compile(r"inequivalent arg '([^']+)' for (\w+) '([^']+)'")
_NOBODY = re.compile(r"no (queue|exchange) '([^']+)'")


def code_of(error: BaseException) -> int:
    """The reply code with which the server closed something; 0 for anything else."""
    if isinstance(error, exceptions.ConnectionClosed | exceptions.ChannelClosed):
        return int(error.reply_code)
    return 0


def closed_channel(error: BaseException, where: str) -> PredictqError:
    """What it means that a channel ended."""
    text, code = _text(error), code_of(error)
    if not isinstance(error, exceptions.ChannelClosed):
        return closed_connection(error, where)
    if code == PRECONDITION_FAILED and "timed out" in text:
        return BrokerUnavailable(
            f"broker {where}: the server took back what was in hand for longer than its consumer_timeout; raise that, "
            f"and the option consumer_timeout_seconds with it ({text})"
        )
    mistake = _mistake(code, text)
    if mistake is not None:
        return UserMistake(f"broker {where}: {mistake}")
    return BrokerUnavailable(f"broker {where}: the server closed a channel: {text}")


def _mistake(code: int, text: str) -> str | None:
    # A queue whose replicas are still starting is "down or inaccessible", with the same code.
    if code == NOT_FOUND and _NOBODY.search(text):
        return f"{_missing(text)} does not exist; `predictq topics ensure` creates it"
    if code == ACCESS_REFUSED:
        return (
            f"this user lacks a permission ({text}); give it configure, write and read on everything that begins with "
            "the prefix"
        )
    if found := _INEQUIVALENT.search(text):
        argument, kind, name = found.groups()
        return (
            f"the {kind} {name} was declared with another {argument} ({text}); delete it when it is empty, then run "
            "`predictq topics ensure`"
        )
    return f"the server refused: {text}" if code == PRECONDITION_FAILED else None


def closed_connection(error: BaseException, where: str) -> PredictqError:
    """What it means that a connection ended, or did not come about."""
    causes = _causes(error)
    for cause in causes:
        refused = _REFUSED.get(code_of(cause))
        if refused is not None:
            return UserMistake(f"broker {where}: {refused}")
        for kind, mistake in _MISTAKES:
            if isinstance(cause, kind) and not isinstance(cause, _CUT):
                return UserMistake(f"broker {where}: {mistake}")
        for kind, trouble in _TROUBLES:
            if isinstance(cause, kind):
                return BrokerUnavailable(f"broker {where}: {trouble}")
    last = causes[-1]
    return BrokerUnavailable(f"broker {where}: the connection was lost ({type(last).__name__}: {_text(last)})")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what pika wrapped in it, from outside in."""
    found = [error]
    if isinstance(error, AMQPConnectorException | exceptions.AMQPConnectionError):
        for inner in (*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args):
            if isinstance(inner, BaseException):
                found += _causes(inner)
    return found


def _text(error: BaseException) -> str:
    return str(getattr(error, "reply_text", "") or error).partition("\n")[0]


def _missing(text: str) -> str:
    found = _NOBODY.search(text)
    if found is None:
        return text
    kind, name = found.groups()
    return f"topic {name}" if kind == "exchange" else f"queue {name}"
