"""The embedded broker: one SQLite file on a local disk, shared by any number of processes of one machine.

Partitions are logs of gapless offsets, groups hold an offset for each, members lease partitions; all of it is rows, so
settling is one transaction. `sqlite:////absolute/path` or `sqlite:///relative/path`.
"""

from predictq.brokers.sqlite.broker import SqliteBroker
from predictq.brokers.sqlite.connection import Place
from predictq.errors import UserMistake

__all__ = ["SqliteBroker", "open_url"]


def open_url(url: str) -> SqliteBroker:
    """The broker in the file that `url` names; file and folders are made when something first connects.

    The path is taken as it is written, as the database's is: a folder's name may hold a percent, a hash or a question
    mark.
    """
    path = url.partition("://")[2]
    if not path.startswith("/") or path == "/":
        raise UserMistake(f"broker: {url!r} names no file; sqlite:///var/predictq.db would be right (three slashes)")
    return SqliteBroker(Place.file(path[1:]))
