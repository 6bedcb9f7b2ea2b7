"""The bare loop on Redis Streams: `redis_loop.py URL NAME MODEL`. Reads until it is ended.

Four streams, one group; 500 entries a read, and one script a stream that acknowledges and publishes at once, so that
an entry which somebody else has taken is answered by nobody twice.
"""

import sys
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from answering import BATCH, load, predict, settle_memory

PARTITIONS = 4
GROUP = "bare"
SETTLE = """
for i = 2, #ARGV, 2 do
  if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
    redis.call('XADD', KEYS[2], '*', 'v', ARGV[i + 1])
  end
end
"""


def main(url: str, name: str, model_file: str) -> None:
    client = _connect(url)
    inputs = [f"{{{name}.{partition}}}:requests" for partition in range(PARTITIONS)]
    outputs = [f"{{{name}.{partition}}}:predictions" for partition in range(PARTITIONS)]
    settle = client.script_load(SETTLE)
    model = load(model_file)
    settle_memory()
    output_of = {source.encode(): target for source, target in zip(inputs, outputs, strict=True)}
    count = str(BATCH // PARTITIONS)
    read = ["XREADGROUP", "GROUP", GROUP, "me", "COUNT", count, "BLOCK", "1000", "STREAMS", *inputs, *">" * PARTITIONS]
    while True:
        found: list[Any] = client.execute_command(*read) or []
        # An entry is its id and its fields, here one: b"v" and the message.
        values = predict([fields[1] for _, entries in found for _, fields in entries], model) if found else []
        calls = client.pipeline(transaction=False)
        at = 0
        for stream, entries in found:
            arguments: list[bytes] = []
            for (entry, _), value in zip(entries, values[at : at + len(entries)], strict=True):
                arguments += (entry, value)
            at += len(entries)
            calls.execute_command("EVALSHA", settle, 2, stream, output_of[stream], GROUP, *arguments)
        calls.execute()


def _connect(url: str) -> Any:
    if urlsplit(url).scheme != "redis":
        raise SystemExit(f"{url}: a URL that begins with redis:// would be right")
    client: Any = redis.Redis.from_url(
        url, protocol=2, socket_timeout=30, retry=Retry(NoBackoff(), 0), single_connection_client=True
    )
    # Replies as they come: the default would make a dict of every entry.
    client.response_callbacks.pop("XREADGROUP")
    return client


if __name__ == "__main__":
    main(*sys.argv[1:4])
