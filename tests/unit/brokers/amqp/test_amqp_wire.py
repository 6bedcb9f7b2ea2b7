"""The quick path reads the same messages, however the bytes are cut, and leaves to pika what is pika's."""

import itertools
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pika import BasicProperties

from predictq.brokers.amqp.frames import Envelope, publishing
from predictq.brokers.amqp.wire import Arrival, Wire

_FRAME = struct.Struct(">BHL")


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard_of: list[object] = []

    def arrived(self, arrival: Arrival) -> None:
        self.heard_of.append((arrival.tag, arrival.routing_key, arrival.body))

    def nothing(self) -> None:
        self.heard_of.append("nothing")

    def confirmed(self, tag: int, *, multiple: bool, good: bool) -> None:
        self.heard_of.append((tag, multiple, good))

    def heard(self) -> None:
        pass


class Cut(Wire):
    """A connection without a socket."""

    def __init__(self) -> None:
        self._listeners = {1: Ear()}
        self._contents = {}
        self._frame_buffer = b""
        self.bytes_received = 0
        self.connection_state = self.CONNECTION_OPEN
        self.others: list[Any] = []

    def _process_frame(self, frame: Any) -> None:
        self.others.append(frame.NAME)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, channel, len(payload)) + payload + b"\xce"


def delivered(tag: int, body: bytes) -> bytes:
    method = struct.pack(">HH", 60, 60) + b"\x03tag" + struct.pack(">QB", tag, 0) + b"\x01x\x02p3"
    properties = b"".join(BasicProperties(message_id="m").encode())
    content = b"".join(publishing(1, Envelope(1, "x", "p3", mandatory=True), properties, body, 100))
    return frame(1, 1, method) + content[content.index(b"\xce\x02") + 1 :]


@settings(deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=350), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=10),
)
def test_any_cut_of_the_bytes_gives_the_same_messages(bodies: list[bytes], sizes: list[int]) -> None:
    stream, expected = b"", []
    for tag, body in enumerate(bodies, 1):
        stream += delivered(tag, body) + frame(1, 1, struct.pack(">HHQB", 60, 80, tag, tag % 2))
        expected += [(tag, b"p3", body), (tag, tag % 2 == 1, True)]
    stream += frame(1, 1, struct.pack(">HH", 60, 72) + b"\x00") + frame(8, 0, b"")
    wire, turns = Cut(), itertools.cycle(sizes)
    while stream:
        size = next(turns)
        wire._on_data_available(stream[:size])
        stream = stream[size:]
    assert wire._listeners[1].heard_of == [*expected, "nothing"]  # type: ignore[attr-defined]
    assert wire.others == ["Heartbeat"]


def test_other_channels_are_pikas() -> None:
    wire = Cut()
    wire._on_data_available(delivered(1, b"x").replace(b"\x00\x01\x00\x00", b"\x00\x02\x00\x00"))
    assert wire._listeners[1].heard_of == []  # type: ignore[attr-defined]
    assert wire.others == ["METHOD", "Header", "Body"]
