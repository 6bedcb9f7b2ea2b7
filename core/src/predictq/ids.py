"""Identifiers: UUIDv7 for what is new, UUIDv8 for what must come out the same again (RFC 9562)."""

import hashlib
import os
import re
import time

__all__ = ["created_at", "derived_id", "is_uuid", "new_id"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUIDv7: the milliseconds of now, then random bits."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    tail = os.urandom(10).hex()
    variant = "89ab"[int(tail[3], 16) & 3]
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


def derived_id(*parts: str) -> str:
    """A UUIDv8 from SHA-256 of the parts: the same parts, in the same order, give the same id."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    variant = "89ab"[int(digest[15], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-{variant}{digest[16:19]}-{digest[19:31]}"


def is_uuid(text: str) -> bool:
    """Whether this is a UUID in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None


def created_at(identifier: str) -> float | None:
    """Unix seconds at which a UUIDv7 was made; None for any other version."""
    if identifier[14] != "7":
        return None
    return int(identifier[:8] + identifier[9:13], 16) / 1000
