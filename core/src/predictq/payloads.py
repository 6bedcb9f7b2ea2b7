"""Claim checks: the instances of requests that are too large for a message, as files of the storage.

A file holds the instances of one request as compact JSON, so its SHA-256 is the request's `instances_hash`. Its place
is `requests/<hour>/<id>-<hash>.json`: the same for whoever writes the same request again within that hour, and another
one for other instances under the same id. Retention deletes by the hour, and needs to know nothing of a file.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from predictq.errors import BadMessage, StorageUnavailable
from predictq.storage import NotInStorage, Storage

__all__ = ["Payload", "Payloads"]

FOLDER = "requests"
HOUR = 3600.0
_HOUR_FORM = "%Y-%m-%dT%H"
_IS_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")
_IS_PLACE = re.compile(rf"{_IS_HOUR.pattern}/[A-Za-z0-9][A-Za-z0-9._-]{{0,254}}")


@dataclass(frozen=True, slots=True)
class Payload:
    """The instances of one request, to be written before its message is published."""

    url: str
    """The `dataref` of the message."""
    data: bytes
    storage: Storage
    place: Sequence[str]

    def write(self) -> None:
        """Return when the file is durable. May be called again. Blocks; raises StorageUnavailable."""
        with self.storage.writing(*self.place) as stream:
            stream.write(self.data)


class Payloads:
    """All of them in one storage. May be used by any thread."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._begin = storage.url_of(FOLDER, "")

    def new(self, request_id: str, instances: bytes, instances_hash: str, now: float) -> Payload:
        """The payload of a request; `request_id` is a UUID, `now` Unix seconds. Nothing is written yet."""
        hour = time.strftime(_HOUR_FORM, time.gmtime(now))
        place = (FOLDER, hour, f"{request_id}-{instances_hash[:16]}.json")
        return Payload(self._storage.url_of(*place), instances, self._storage, place)

    def read(self, dataref: str, instances_hash: str, *, max_bytes: int) -> list[Any]:
        """The instances of a request that refers to them.

        Raises BadMessage where that cannot be mended by trying again; what lies elsewhere than a payload would is never
        opened, whoever asks for it. Blocks; raises StorageUnavailable.
        """
        if not dataref.startswith(self._begin) or not _IS_PLACE.fullmatch(dataref, len(self._begin)):
            raise BadMessage("dataref: names no payload below jobs.storage, so it was not read")
        try:
            with self._storage.open(dataref) as stream:
                raw = stream.read(max_bytes + 1)
        except NotInStorage as error:
            if not self._storage.is_mounted:
                raise StorageUnavailable(f"storage {self._storage.url}: there is no such folder") from error
            raise BadMessage("dataref: its instances are not in the storage, or not any more") from error
        if len(raw) > max_bytes:
            raise BadMessage(f"dataref: its instances have more than {max_bytes} bytes (claim_check.max_bytes)")
        if hashlib.sha256(raw).hexdigest() != instances_hash:
            raise BadMessage("dataref: holds other instances than those of data/instances_hash")
        return _instances(raw)

    def hours_before(self, before: float) -> Sequence[str]:
        """Hours with payloads all of which were written before that time (Unix seconds). Raises StorageUnavailable."""
        latest = time.strftime(_HOUR_FORM, time.gmtime(before - HOUR))
        return sorted(name for name in self._storage.names(FOLDER) if _IS_HOUR.fullmatch(name) and name <= latest)

    def forget(self, before: float) -> Iterator[int]:
        """Delete what was written before that time, an hour at a step, and yield how many went.

        Raises StorageUnavailable.
        """
        for hour in self.hours_before(before):
            count = self.count(hour)
            self._storage.delete(FOLDER, hour)
            yield count

    def count(self, hour: str) -> int:
        """How many there are of an hour. Raises StorageUnavailable."""
        return len(self._storage.names(FOLDER, hour))


def _instances(raw: bytes) -> list[Any]:
    try:
        instances = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadMessage(f"dataref: holds no JSON: {error}") from error
    if not isinstance(instances, list) or not instances:
        raise BadMessage("dataref: holds no list of instances")
    return instances
