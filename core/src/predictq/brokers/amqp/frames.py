"""What goes out: messages, acknowledgements and gets, as blocks of whole frames."""

import struct
from collections.abc import Iterable, Sequence

__all__ = ["Envelope", "ack", "get", "nack", "publishing"]

_ACK = struct.Struct(">BHLHHQBB")
_FRAME = struct.Struct(">BHL")
_HEADER = struct.Struct(">BHLHHQ")
_SHORT = struct.Struct(">HHH")
_END = b"\xce"


class Envelope:
    """Where messages go: an exchange and a routing key on a channel."""

    __slots__ = ("frame",)

    def __init__(self, channel: int, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        to, key = exchange.encode(), routing_key.encode()
        payload = b"%b%c%b%c%b%c" % (_SHORT.pack(60, 40, 0), len(to), to, len(key), key, mandatory)
        self.frame = _FRAME.pack(1, channel, len(payload)) + payload + _END


def publishing(channel: int, envelope: Envelope, properties: bytes, body: bytes, body_bytes: int) -> Sequence[bytes]:
    """The frames of one message; `properties` begin with their flags."""
    size = len(body)
    head = _HEADER.pack(2, channel, 12 + len(properties), 60, 0, size)
    if not size:
        return envelope.frame, head, properties, _END
    if size <= body_bytes:
        return envelope.frame, head, properties, b"\xce\x03", _SHORT_SIZE.pack(channel, size), body, _END
    parts = [envelope.frame, head, properties, _END]
    for at in range(0, size, body_bytes):
        piece = body[at : at + body_bytes]
        parts += (_FRAME.pack(3, channel, len(piece)), piece, _END)
    return parts


_SHORT_SIZE = struct.Struct(">HL")


def ack(channel: int, tag: int, *, multiple: bool = False) -> bytes:
    """Acknowledge a delivery, or all up to it."""
    return _ACK.pack(1, channel, 13, 60, 80, tag, multiple, 0xCE)


def nack(channel: int, tags: Iterable[int]) -> bytes:
    """Give deliveries back to their queue."""
    return b"".join([_ACK.pack(1, channel, 13, 60, 120, tag, 2, 0xCE) for tag in tags])


def get(channel: int, queue: str) -> bytes:
    """Ask for one message of a queue."""
    name = queue.encode()
    payload = b"%b%c%b\x00" % (_SHORT.pack(60, 70, 0), len(name), name)
    return _FRAME.pack(1, channel, len(payload)) + payload + _END
