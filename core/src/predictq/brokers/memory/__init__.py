"""The embedded broker in memory: `memory://name`, for tests.

It is one process only: all brokers of one name in this process share it, another process sees nothing of it, and it is
gone when the last of them is closed.
"""

from urllib.parse import urlsplit

from predictq.brokers.sqlite.broker import SqliteBroker
from predictq.brokers.sqlite.connection import Place
from predictq.errors import UserMistake

__all__ = ["open_url"]


def open_url(url: str) -> SqliteBroker:
    """The broker named by `url`; the same code as on a file, on SQLite's memory file system."""
    name = urlsplit(url).netloc
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserMistake(f"broker: {url!r} has no plain name; memory://tests would be right")
    return SqliteBroker(Place.memory(name))
