"""The four servers, and the variables that name one of them from outside."""

from typing import Literal, get_args

ServerName = Literal["kafka", "amqp", "redis", "postgresql"]

SERVER_NAMES: tuple[ServerName, ...] = get_args(ServerName)


def variable_of(name: ServerName) -> str:
    """The environment variable, and the line of `.services.env`, that holds the URL."""
    return f"PREDICTQ_TEST_{name.upper()}_URL"
