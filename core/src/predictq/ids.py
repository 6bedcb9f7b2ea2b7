"""Identifiers: UUIDv7 for what is new, UUIDv8 for what must come out the same again (RFC 9562)."""

import hashlib
import os
import re
import time

__all__ = ["created_at", "derived_id", "is_uuid", "new_id"]

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUIDv7: the milliseconds of now, then random bits."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    tail = _random_tail()
    variant = "89ab"[int(tail[3], 16) & 3]
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


def derived_id(*parts: str) -> str:
    """A UUIDv8 from SHA-256 of the parts: the same parts, in the same order, give the same id."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-{_VARIANT[digest[15]]}{digest[16:19]}-{digest[19:31]}"


def _random_tail() -> str:
    """20 random hexadecimal digits.

    Drawn by the block: each call of urandom lets go of the interpreter, and a thread that gives it away for every id
    waits for the busy others each time.
    """
    while True:
        try:
            return _tails.pop()
        except IndexError:
            block = os.urandom(10 * 256).hex()
            _tails.extend(block[at : at + 20] for at in range(0, len(block), 20))


_tails: list[str] = []
if hasattr(os, "register_at_fork"):
    # A child must not draw what its parent draws.
    os.register_at_fork(after_in_child=_tails.clear)


def is_uuid(text: str) -> bool:
    """Whether this is a UUID in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None


def created_at(identifier: str) -> float | None:
    """Unix seconds at which a UUIDv7 was made; None for any other version."""
    if identifier[14] != "7":
        return None
    return int(identifier[:8] + identifier[9:13], 16) / 1000
