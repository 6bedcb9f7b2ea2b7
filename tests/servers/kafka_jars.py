"""Apache Kafka from its own jars on Maven Central, fetched once into a cache."""

import hashlib
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_VERSION = "4.1.0"
_CENTRAL = "https://repo1.maven.org/maven2"
_LIST = Path(__file__).parent / f"kafka-{_VERSION}.jars"
"""A line a jar: SHA-256 and path of `org.apache.kafka:kafka_2.13`, a logger for it, and all that they need."""
_TIMEOUT_SECONDS = 60.0


def jar_folder() -> Path:
    """Where the jars are or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "predictq" / f"kafka-{_VERSION}"


def jars_are_there() -> bool:
    return all((jar_folder() / Path(path).name).exists() for _, path in _listed())


def fetch_jars() -> None:
    """Download what the cache lacks: 43 MB, some seconds."""
    jar_folder().mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(_fetch, *zip(*_listed(), strict=True)):
            pass


def _fetch(checksum: str, path: str) -> None:
    target = jar_folder() / Path(path).name
    if target.exists():
        return
    with urllib.request.urlopen(f"{_CENTRAL}/{path}", timeout=_TIMEOUT_SECONDS) as answer:
        content: bytes = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise ValueError(f"{_CENTRAL}/{path} has the SHA-256 {found}, not {checksum} as {_LIST.name} says")
    # Whole or not there: another process may be fetching too.
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(target)


def _listed() -> list[tuple[str, str]]:
    lines = [line.split() for line in _LIST.read_text().splitlines()]
    return [(checksum, path) for checksum, path in lines]
