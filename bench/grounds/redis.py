"""Streams and lists on Redis."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["PARTITIONS", "RedisCount", "RedisGround", "fsync"]

FILL = "for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'v', ARGV[i]) end"
PAGE = 5000
PARTITIONS = 4
GROUP = "bare"


class RedisCount:
    """Entries of streams, or of lists, by one round trip."""

    def __init__(self, url: str, keys: Sequence[str], *, lists: bool = False) -> None:
        self._client: Any = redis.Redis.from_url(url, socket_timeout=30, retry=Retry(NoBackoff(), 0))
        self._keys = keys
        self._lists = lists

    def __call__(self) -> int:
        pipeline = self._client.pipeline(transaction=False)
        for key in self._keys:
            if self._lists:
                pipeline.llen(key)
            else:
                pipeline.xlen(key)
        return sum(pipeline.execute())

    def close(self) -> None:
        self._client.close()


class RedisGround:
    """Streams `{NAME.p}:requests` of one group and `{NAME.p}:predictions`; or lists of celery's, filled by celery."""

    def __init__(self, url: str, name: str, *, outputs: Sequence[str] = (), lists: bool = False) -> None:
        self._client: Any = redis.Redis.from_url(url, socket_timeout=30, retry=Retry(NoBackoff(), 0))
        self._name = name
        self._inputs = [f"{{{name}.{p}}}:requests" for p in range(PARTITIONS)]
        self._outputs = list(outputs) or [f"{{{name}.{p}}}:predictions" for p in range(PARTITIONS)]
        self._lists = lists
        self.emitted = RedisCount(url, self._outputs, lists=lists)

    def fill(self, calls: Iterable[Sequence[bytes]]) -> None:
        """A call to one stream, the next to the next."""
        script = self._client.script_load(FILL)
        for stream in self._inputs:
            self._client.xgroup_create(stream, GROUP, "0", mkstream=True)
        for number, values in enumerate(calls):
            self._client.evalsha(script, 1, self._inputs[number % len(self._inputs)], *values)

    def outputs(self) -> Iterator[bytes]:
        """Values of the first field of an entry; bodies of celery's messages."""
        for key in self._outputs:
            yield from self._list(key) if self._lists else self._stream(key)

    def _stream(self, key: str) -> Iterator[bytes]:
        first = "-"
        while page := self._client.xrange(key, first, "+", PAGE):
            yield from (next(iter(fields.values())) for _, fields in page)
            first = f"({page[-1][0].decode()}"

    def _list(self, key: str) -> Iterator[bytes]:
        for start in range(0, self._client.llen(key), PAGE):
            for item in self._client.lrange(key, start, start + PAGE - 1):
                yield base64.b64decode(json.loads(item)["body"])

    def close(self) -> None:
        """Delete every key with the name in it."""
        for key in self._client.scan_iter(match=f"*{self._name}*", count=1000):
            self._client.unlink(key)
        self.emitted.close()
        self._client.close()


@contextmanager
def fsync(url: str, policy: str) -> Iterator[None]:
    """Within the block the server's `appendfsync` is `policy`. Raises RuntimeError where it keeps no log at all."""
    client: Any = redis.Redis.from_url(url)
    before = client.config_get("append*")
    if before["appendonly"] != "yes":
        raise RuntimeError("redis: appendonly is no, so nothing would be durable")
    client.config_set("appendfsync", policy)
    try:
        yield
    finally:
        client.config_set("appendfsync", before["appendfsync"])
        client.close()
