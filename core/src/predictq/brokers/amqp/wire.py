"""pika's connection with a quick path for what comes and goes in thousands.

pika makes an object of each frame, and three frames of each message: 25 µs to take one in and 20 µs to put one out,
most of what a small prediction costs. Here deliveries and confirms of the channels that ask for it are read straight
from the received bytes, and a whole batch goes out as one block. Everything else is pika's: handshake, heartbeats,
channels, errors, TLS. This is the one module that touches its private parts (pika 1.4: `_on_data_available`,
`_process_frame`, `_adapter_emit_data`, `_terminate_stream`, `_on_stream_terminated`, a channel's `_consumers`, the
transport's `_MAX_RECV_BYTES`).

Frames: AMQP 0-9-1, section 4.2 (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf).
"""

import struct
from typing import NamedTuple, Protocol

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.exceptions import IncompatibleProtocolError
from pika.frame import decode_frame

__all__ = ["Arrival", "Listener", "Wire"]

_FRAME = struct.Struct(">BHL")
_METHOD = struct.Struct(">L")
_TAG = struct.Struct(">Q")
_CONFIRM = struct.Struct(">QB")
_CONTENT = struct.Struct(">HHQ")

_METHOD_FRAME = 1
_HEADER_FRAME = 2
_BODY_FRAME = 3
_END = 0xCE
_OVERHEAD = 8

_DELIVER = 60 << 16 | 60
_GET_OK = 60 << 16 | 71
_GET_EMPTY = 60 << 16 | 72
_ACK = 60 << 16 | 80
_NACK = 60 << 16 | 120

_CONTENT_METHODS = frozenset({_DELIVER, _GET_OK})
_CONFIRMS = frozenset({_ACK, _NACK})

_RECEIVE_BYTES = 1 << 18
_FIRST_BYTES = b"\x01\x00\x00"
"""With which whoever speaks AMQP 0-9-1 begins: a method, on channel 0."""


class Arrival(NamedTuple):
    """A message as the server handed it out."""

    tag: int
    routing_key: bytes
    header: bytes
    """Flags and properties, still packed."""
    body: bytes


class Listener(Protocol):
    """What a channel on the quick path is told, on the connection's own thread."""

    def arrived(self, arrival: Arrival) -> None: ...

    def nothing(self) -> None:
        """The answer to a get on an empty queue."""

    def confirmed(self, tag: int, *, multiple: bool, good: bool) -> None: ...

    def heard(self) -> None:
        """Some of the above came; called once for each portion that was read from the socket."""


class _Content:
    """A message of which some frames are still to come."""

    __slots__ = ("header", "missing", "parts", "routing_key", "tag")

    def __init__(self, tag: int, routing_key: bytes) -> None:
        self.tag = tag
        self.routing_key = routing_key
        self.header = b""
        self.missing = 0
        self.parts: list[bytes] = []


class Wire(SelectConnection):  # type: ignore[misc]  # pika has no types
    """A connection on which some channels have a listener."""

    _rest: bytes = b""
    _heard: bytes = b""
    _ended_by: BaseException | None = None

    @property
    def ended_by(self) -> BaseException | None:
        """What ended it, as it was.

        Of a stream that ends while the connection is being opened pika makes a wrong port, a wrong password or a
        missing virtual host, by how far it had come. That was so before RabbitMQ 3.2, which ended the stream without a
        word; today it says what is wrong, and a stream that just ends is a server or a network that is going away.
        """
        return (
            self._ended_by if _FIRST_BYTES.startswith(self._heard) else IncompatibleProtocolError("it said otherwise")
        )

    def prepare(self) -> None:
        """Once, when the connection is open."""
        self._listeners: dict[int, Listener] = {}
        self._contents: dict[int, _Content] = {}
        self._transport._MAX_RECV_BYTES = _RECEIVE_BYTES  # noqa: SLF001 - see above

    def listen(self, channel: int, listener: Listener) -> None:
        """Deliveries and confirms of the channel go to `listener` from now on."""
        self._listeners[channel] = listener

    def forget(self, channel: int) -> None:
        """The channel is closed."""
        self._listeners.pop(channel, None)
        self._contents.pop(channel, None)

    def emit(self, block: bytes) -> None:
        """Send whole frames, unless the connection is ending."""
        if not self.is_open:
            return
        self.bytes_sent += len(block)
        self.frames_sent += 1
        self._adapter_emit_data(block)

    def end(self, error: Exception) -> None:
        """Drop the connection without a goodbye; all who wait for something are told `error`."""
        if not self.is_closed:
            self._terminate_stream(error)

    @staticmethod
    def close_channel(channel: Channel) -> None:
        """Close it, whereupon the server puts back what was handed out on it.

        pika would cancel the consumers first, and the server then make another member the active one while this one
        still holds the earlier messages; a channel that just ends is given back before anything else is handed out.
        """
        channel._consumers.clear()  # noqa: SLF001 - see above
        channel.close()

    @property
    def body_bytes(self) -> int:
        """The longest body that a frame may hold."""
        return int(self.params.frame_max) - _OVERHEAD

    def _on_data_available(self, data: bytes) -> None:
        if not self.is_open or self._frame_buffer:
            self._heard += data[: len(_FIRST_BYTES) - len(self._heard)]
            super()._on_data_available(data)
            return
        self.bytes_received += len(data)
        buffer = self._rest + data if self._rest else data
        at, end = 0, len(buffer)
        heard: dict[int, Listener] = {}
        listeners = self._listeners
        while end - at >= _OVERHEAD:
            kind, channel, size = _FRAME.unpack_from(buffer, at)
            payload = at + 7
            after = payload + size + 1
            if after > end:
                break
            listener = listeners.get(channel)
            if (
                listener is not None
                and buffer[after - 1] == _END
                and self._take(listener, kind, channel, buffer, payload, size)
            ):
                heard[channel] = listener
            else:
                _, frame = decode_frame(buffer[at:after])
                self._process_frame(frame)
            at = after
        self._rest = buffer[at:]
        for listener in heard.values():
            listener.heard()

    def _on_stream_terminated(self, error: BaseException | None) -> None:
        self._ended_by = error or self._error
        super()._on_stream_terminated(error)

    def _take(self, listener: Listener, kind: int, channel: int, buffer: bytes, at: int, size: int) -> bool:
        """Whether the frame was for the quick path."""
        if kind == _METHOD_FRAME:
            return self._take_method(listener, channel, buffer, at)
        content = self._contents.get(channel)
        if content is None:
            return False
        if kind == _HEADER_FRAME:
            content.missing = _CONTENT.unpack_from(buffer, at)[2]
            content.header = buffer[at + 12 : at + size]
        elif kind == _BODY_FRAME:
            content.parts.append(buffer[at : at + size])
            content.missing -= size
        else:
            return False
        if not content.missing:
            del self._contents[channel]
            parts = content.parts
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            listener.arrived(_new(Arrival, (content.tag, content.routing_key, content.header, body)))
        return True

    def _take_method(self, listener: Listener, channel: int, buffer: bytes, at: int) -> bool:
        method = _METHOD.unpack_from(buffer, at)[0]
        at += 4
        if method in _CONTENT_METHODS:
            if method == _DELIVER:
                at += 1 + buffer[at]
            tag = _TAG.unpack_from(buffer, at)[0]
            at += 9
            at += 1 + buffer[at]
            self._contents[channel] = _Content(tag, buffer[at + 1 : at + 1 + buffer[at]])
        elif method in _CONFIRMS:
            tag, bits = _CONFIRM.unpack_from(buffer, at)
            listener.confirmed(tag, multiple=bool(bits & 1), good=method == _ACK)
        elif method == _GET_EMPTY:
            listener.nothing()
        else:
            return False
        return True


_new = tuple.__new__
