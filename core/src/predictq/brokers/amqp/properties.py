"""A message's properties, to and from bytes.

A message of ours is: `content_type`, `delivery_mode` 2 (persistent), `message_id` (made by the producer's adapter, kept
by copies: a record's position) and a table of headers: the message's own, as strings, beside ours, which begin with
`predictq-`. Of a foreign one are kept the headers that are strings, numbers or truth values.

Table: AMQP 0-9-1 with RabbitMQ's types (https://www.rabbitmq.com/amqp-0-9-1-errata#section_3).
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from predictq.brokers.port import NO_HEADERS

__all__ = ["FLAGS", "Meta", "Own", "pack_headers", "unpack"]

FLAGS = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7
"""content_type, headers, delivery_mode and message_id are there."""

_TYPES = (1 << 15, 1 << 14)
_HEADERS, _MODE, _PRIORITY = 1 << 13, 1 << 12, 1 << 11
_SHORT_STRINGS = (1 << 10, 1 << 9, 1 << 8)
_MESSAGE_ID, _TIMESTAMP = 1 << 7, 1 << 6

_LONG = struct.Struct(">q")
_SIZE = struct.Struct(">L")
_SHORT = struct.Struct(">H")

_AT, _KEY, _DUE, _COUNT, _PARTITION = (
    "predictq-at",
    "predictq-key",
    "predictq-due",
    "predictq-count",
    "predictq-partition",
)
_AT_HEADER = b"\x0bpredictq-atl"
_KEY_HEADER = b"\x0cpredictq-keyx"
_OURS = frozenset({_AT, _KEY, _DUE, _COUNT, _PARTITION})
_SERVERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count", "x-opt-")

_NUMBERS: Mapping[int, struct.Struct] = {
    ord(kind): struct.Struct(form)
    for kind, form in {
        "t": ">?",
        "b": ">b",
        "B": ">B",
        "s": ">h",
        "u": ">H",
        "I": ">i",
        "i": ">I",
        "l": ">q",
        "L": ">q",
        "f": ">f",
        "d": ">d",
        "T": ">Q",
    }.items()
}


class Own(NamedTuple):
    """What the adapter itself writes into the headers."""

    at_ms: int
    """When it was published, Unix milliseconds; AMQP's own timestamp has whole seconds only."""
    key: bytes | None = None
    due_ms: int = 0
    """Not to be handed out before."""
    handed_out: int = 0
    """How often its predecessors were handed out, of which it is an uncounted copy."""
    partition: int | None = None
    """Where its routing key does not say it: a copy that went straight to a queue."""


class Meta(NamedTuple):
    """A message's properties."""

    headers: Mapping[str, str]
    own: Own
    message_id: str
    deliveries: int
    """How often this queue handed it out before."""


def pack_headers(headers: Mapping[str, str], own: Own) -> bytes:
    """The table, with its size before it."""
    at_ms, key, due_ms, handed_out, partition = own
    packed = _AT_HEADER + _LONG.pack(at_ms)
    if key is not None:
        packed += _KEY_HEADER + _SIZE.pack(len(key)) + key
    if due_ms:
        packed += b"\x0cpredictq-duel" + _LONG.pack(due_ms)
    if handed_out:
        packed += b"\x0epredictq-countl" + _LONG.pack(handed_out)
    if partition is not None:
        packed += b"\x12predictq-partitionl" + _LONG.pack(partition)
    for name, text in headers.items():
        name_, value = name.encode(), text.encode()
        packed += b"%c%bS%b%b" % (len(name_), name_, _SIZE.pack(len(value)), value)
    return _SIZE.pack(len(packed)) + packed


def unpack(header: bytes, cache: dict[bytes, tuple[Mapping[str, str], Own, int]]) -> Meta:
    """Properties of one message. Messages of one publish often share their table, so the last one is remembered."""
    flags = header[0] << 8 | header[1]
    at = 2
    for flag in _TYPES:
        if flags & flag:
            at += 1 + header[at]
    table: tuple[Mapping[str, str], Own, int] | None = None
    if flags & _HEADERS:
        end = at + 4 + _SIZE.unpack_from(header, at)[0]
        raw = header[at + 4 : end]
        table = cache.get(raw)
        if table is None:
            table = _plain(raw) or _sorted_out(_table(raw, 0, len(raw)))
            cache.clear()
            cache[raw] = table
        at = end
    at += (flags & _MODE > 0) + (flags & _PRIORITY > 0)
    for flag in _SHORT_STRINGS:
        if flags & flag:
            at += 1 + header[at]
    message_id = ""
    if flags & _MESSAGE_ID:
        message_id = header[at + 1 : at + 1 + header[at]].decode(errors="replace")
        at += 1 + header[at]
    headers, own, deliveries = table or (NO_HEADERS, Own(0), 0)
    if not own.at_ms and flags & _TIMESTAMP:
        own = own._replace(at_ms=_LONG.unpack_from(header, at)[0] * 1000)
    return Meta(headers, own, message_id, deliveries)


def _plain(raw: bytes) -> tuple[Mapping[str, str], Own, int] | None:
    """The table of a message of ours that has a key at most: most are such, and each has a table of its own."""
    if raw[:13] != _AT_HEADER:
        return None
    if len(raw) == 21:
        return NO_HEADERS, Own(_LONG.unpack_from(raw, 13)[0]), 0
    if raw[21:35] == _KEY_HEADER and len(raw) == 39 + _SIZE.unpack_from(raw, 35)[0]:
        return NO_HEADERS, Own(_LONG.unpack_from(raw, 13)[0], raw[39:]), 0
    return None


def _sorted_out(table: Mapping[str, object]) -> tuple[Mapping[str, str], Own, int]:
    """The message's own headers, ours, and the server's count."""
    key = table.get(_KEY)
    partition = table.get(_PARTITION)
    own = Own(
        _int(table.get(_AT)),
        key if isinstance(key, bytes) else None,
        _int(table.get(_DUE)),
        _int(table.get(_COUNT)),
        _int(partition) if partition is not None else None,
    )
    headers = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for name, value in table.items()
        if isinstance(value, bytes | int | float) and name not in _OURS and not name.startswith(_SERVERS)
    }
    return headers or NO_HEADERS, own, _int(table.get("x-delivery-count"))


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _table(raw: bytes, at: int, end: int) -> dict[str, object]:
    found: dict[str, object] = {}
    while at < end:
        name = raw[at + 1 : at + 1 + raw[at]].decode(errors="replace")
        at += 1 + raw[at]
        found[name], at = _value(raw, at)
    return found


def _value(raw: bytes, at: int) -> tuple[object, int]:
    """A value and where the next one begins; of nested ones only where they end."""
    kind = raw[at]
    at += 1
    number = _NUMBERS.get(kind)
    if number is not None:
        return number.unpack_from(raw, at)[0], at + number.size
    if kind in b"SxAF":
        start = at + 4
        end = start + _SIZE.unpack_from(raw, at)[0]
        return (raw[start:end] if kind in b"Sx" else None), end
    return None, at + (5 if kind == ord("D") else 0)
