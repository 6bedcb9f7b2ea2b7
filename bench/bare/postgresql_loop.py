"""The ceiling of the sync service: the same rows into the same tables, by what a good programmer would write by hand.

Decodes 1000 predictions, COPYs them into a temporary table, inserts them and sets the status of their requests, one
transaction each. `postgresql_loop.py PREDICTIONS DATABASE_URL BATCH` prints {"predictions": …, "seconds": …}. The
requests are there already. Imports nothing of predictq, and has none of its care: no locks, no hashes, one deployment,
nothing that comes twice.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path

import psycopg
from pydantic_core import from_json, to_json

STAGE = """
    CREATE TEMPORARY TABLE staged (
        request_id text COLLATE "C", deployment text, endpoint text, model_version text, status text, outputs text,
        errors text, batch_id text, redrive integer, visible boolean, created_at text
    ) ON COMMIT DELETE ROWS;
    SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""
INSERT = """
    INSERT INTO predictions (request_id, deployment, endpoint, model_version, status, outputs, errors, batch_id,
        redrive, visible, created_at)
    SELECT request_id, deployment, endpoint, model_version, status, outputs::json, errors::json, batch_id, redrive,
        visible, created_at
    FROM staged ORDER BY request_id ON CONFLICT DO NOTHING
"""
UPDATE = """
    UPDATE requests SET status = staged.status, completed_at = staged.created_at
    FROM staged WHERE requests.id = staged.request_id
"""


def main(predictions: Path, url: str, batch: int) -> None:
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        connection.execute(STAGE)
        connection.commit()
        with predictions.open("rb") as lines:
            messages = lines.read().splitlines()
        started = time.perf_counter()
        left = iter(messages)
        while some := list(islice(left, batch)):
            write(connection, some)
        seconds = time.perf_counter() - started
    print(json.dumps({"predictions": len(messages), "seconds": seconds}))


def write(connection: psycopg.Connection, messages: list[bytes]) -> None:
    rows = []
    for message in messages:
        event = from_json(message)
        data = event["data"]
        rows.append(
            "\t".join(
                [
                    data["request_id"],
                    data["deployment"],
                    data["endpoint"],
                    data["model_version"],
                    data["status"],
                    to_json(data["outputs"]).decode(),
                    to_json(data["errors"]).decode(),
                    data["batch_id"],
                    str(data["redrive"]),
                    "t",
                    event["time"],
                ]
            )
        )
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged FROM STDIN") as copy:
            copy.write(("\n".join(rows) + "\n").replace("\\", "\\\\"))
        cursor.execute(INSERT, prepare=True)
        cursor.execute(UPDATE, prepare=True)
    connection.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
