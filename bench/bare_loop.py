"""The bare loop: what a good programmer would write by hand for this one task. Imports nothing of predictq.

Reads 500 messages, validates them, predicts once, encodes 500 predictions and writes them with the offset in one
durable transaction. `bare_loop.py MESSAGES MODEL DATABASE` prints {"requests": …, "seconds": …}.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from answering import BATCH, load, predict, settle_memory

SCHEMA = """
    CREATE TABLE input(off INTEGER PRIMARY KEY, value BLOB NOT NULL, ts REAL NOT NULL);
    CREATE TABLE output(off INTEGER PRIMARY KEY, value BLOB NOT NULL, ts REAL NOT NULL);
    CREATE TABLE progress(next INTEGER NOT NULL);
    INSERT INTO progress VALUES (1);
"""


def main(messages: Path, model_file: Path, database: Path) -> None:
    model = load(model_file)
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    connection.execute(SCHEMA)
    fill(connection, messages)
    settle_memory()
    started = time.perf_counter()
    requests = drain(connection, model)
    seconds = time.perf_counter() - started
    print(json.dumps({"requests": requests, "seconds": seconds}))


def fill(connection: apsw.Connection, messages: Path) -> None:
    with messages.open("rb") as lines:
        while some := list(islice(lines, 5000)):
            with connection:
                now = time.time()
                connection.executemany(
                    "INSERT INTO input(value, ts) VALUES (?, ?)", [(line.rstrip(b"\n"), now) for line in some]
                )


def drain(connection: apsw.Connection, model: Any) -> int:
    done = 0
    position: int = connection.execute("SELECT next FROM progress").get
    while records := _read(connection, position):
        values = predict([value for _, value in records], model)
        position = records[-1][0] + 1
        now = time.time()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO output(value, ts) VALUES (?, ?)", [(value, now) for value in values])
        connection.execute("UPDATE progress SET next = ?", (position,))
        connection.execute("COMMIT")
        done += len(records)
    return done


def _read(connection: apsw.Connection, position: int) -> list[tuple[int, bytes]]:
    found: list[Any] = connection.execute(
        "SELECT off, value FROM input WHERE off >= ? ORDER BY off LIMIT ?", (position, BATCH)
    ).fetchall()
    return found


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
