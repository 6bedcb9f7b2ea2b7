"""Properties come out as they went in, whatever they are."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties
from pika.data import encode_table

from predictq.brokers.amqp.properties import FLAGS, Own, pack_headers, unpack

names = st.text(min_size=1, max_size=60).filter(lambda name: not name.startswith(("x-", "predictq-")))
owns = st.builds(
    Own,
    st.integers(1, 1 << 50),
    st.none() | st.binary(max_size=300),
    st.integers(0, 1 << 50),
    st.integers(0, 100),
    st.none() | st.integers(0, 1000),
)


def packed(headers: dict[str, str], own: Own) -> bytes:
    return struct.pack(">HB", FLAGS, 4) + b"json" + pack_headers(headers, own) + b"\x02\x04id-1"


@given(headers=st.dictionaries(names, st.text(max_size=300), max_size=5), own=owns)
def test_what_is_packed_is_unpacked(headers: dict[str, str], own: Own) -> None:
    meta = unpack(packed(headers, own), {})
    assert (dict(meta.headers), meta.own, meta.message_id, meta.deliveries) == (headers, own, "id-1", 0)


def test_messages_with_the_same_headers_share_what_was_read() -> None:
    cache: dict = {}  # type: ignore[type-arg]
    header = packed({"a": "b"}, Own(7))
    assert unpack(header, cache).headers is unpack(header, cache).headers


def foreign(properties: BasicProperties) -> bytes:
    return b"".join(properties.encode())


def test_the_servers_own_headers_are_not_the_messages() -> None:
    table = {"x-death": [{"count": 2}], "x-first-death-queue": "q", "x-delivery-count": 3, "own": "yes"}
    meta = unpack(foreign(BasicProperties(headers=table)), {})
    assert (dict(meta.headers), meta.deliveries) == ({"own": "yes"}, 3)


def test_all_properties_of_a_foreign_message_are_read_over() -> None:
    properties = BasicProperties(
        content_type="t",
        content_encoding="e",
        headers={"n": 1, "yes": True, "none": None, "table": {"a": 1}, "list": [1, "x"], "last": "z"},
        delivery_mode=2,
        priority=4,
        correlation_id="c",
        reply_to="r",
        expiration="60",
        message_id="m",
        timestamp=1000,
        type="t",
        user_id="u",
        app_id="a",
    )
    meta = unpack(foreign(properties), {})
    assert dict(meta.headers) == {"n": "1", "yes": "True", "last": "z"}
    assert (meta.message_id, meta.own.at_ms) == ("m", 1_000_000)


@pytest.mark.parametrize("properties", [BasicProperties(), BasicProperties(headers={})])
def test_a_message_without_anything(properties: BasicProperties) -> None:
    meta = unpack(foreign(properties), {})
    assert (dict(meta.headers), meta.message_id, meta.own) == ({}, "", Own(0))


def test_the_table_is_what_pika_makes_of_it() -> None:
    pieces: list[bytes] = []
    encode_table(pieces, {"predictq-at": 1 << 40, "a": "ü"})
    assert b"".join(pieces) == pack_headers({"a": "ü"}, Own(1 << 40))
