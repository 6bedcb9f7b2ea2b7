"""Ports of 127.0.0.1 for servers that must come back on the same one after a restart."""

import os
import random
import socket
from collections.abc import Mapping
from contextlib import suppress

_RANGE = range(15_000, 32_000)
"""Below what Linux hands to outgoing connections, so that none of them takes the port of a server that is away."""
_TRIES = 1000
_given: set[int] = set()


def free_port() -> int:
    """A port on which nothing listens, never the same one twice in a process, nor in two workers of pytest-xdist."""
    for port in random.sample(_own(os.environ), _TRIES):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"none of {_TRIES} ports of {_RANGE} is free on 127.0.0.1")


def _own(environment: Mapping[str, str]) -> range:
    """Ports are free until somebody listens on them: no other worker looks at these."""
    worker, workers = environment.get("PYTEST_XDIST_WORKER", "gw0"), environment.get("PYTEST_XDIST_WORKER_COUNT", "1")
    return _RANGE[int(worker.removeprefix("gw")) % int(workers) :: int(workers)]


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
