"""The name by which one process is known to its groups."""

import os
import secrets
import socket

__all__ = ["member_name"]


def member_name() -> str:
    """Host, process and a random tail: unlike the name of every process that ever ran."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
