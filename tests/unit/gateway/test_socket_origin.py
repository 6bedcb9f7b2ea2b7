"""Whose pages may open a WebSocket."""

import pytest
from starlette.datastructures import Headers

from predictq_gateway.socket.origin import is_allowed

HOST = "gate.example:8700"


def asked(origin: str | None, host: str = HOST, *more: str) -> Headers:
    origins = [each for each in (origin, *more) if each is not None]
    return Headers(raw=[(b"host", host.encode()), *((b"origin", each.encode()) for each in origins)])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, HOST),
        ("http://gate.example:8700", HOST),
        ("https://GATE.example:8700", HOST),
        ("http://gate.example", "gate.example"),
        ("http://gate.example", "gate.example:80"),
        ("https://gate.example", "gate.example"),
        ("https://gate.example", "gate.example:443"),
        ("http://[::1]:8700", "[::1]:8700"),
    ],
)
def test_a_page_of_the_host_itself_may(origin: str | None, host: str) -> None:
    assert is_allowed(asked(origin, host), ())


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://gate.example",
        "http://gate.example:8701",
        "http://gate.example:8700.evil.example",
        "http://evil.example/gate.example:8700",
        "http://evil@gate.example:8700",
        "ftp://gate.example:8700",
        "gate.example:8700",
        "//gate.example:8700",
        "null",
        "",
        "http://",
        "http://[",
        "chrome-extension://gate.example:8700",
    ],
)
def test_any_other_page_may_not(origin: str) -> None:
    assert not is_allowed(asked(origin), ())
    assert not is_allowed(asked(origin), ("https://shop.example",))
    assert is_allowed(asked(origin), ("*",))


def test_origins_of_the_settings_may() -> None:
    allowed = ("https://Shop.example/", "null")
    assert is_allowed(asked("https://shop.example"), allowed)
    assert is_allowed(asked("null"), allowed)
    assert not is_allowed(asked("http://shop.example"), allowed)


def test_two_origins_are_none() -> None:
    assert not is_allowed(asked("http://gate.example:8700", HOST, "http://gate.example:8700"), ())


def test_a_request_without_a_host_is_nobodys() -> None:
    assert not is_allowed(Headers(raw=[(b"origin", b"http://")]), ())
    assert not is_allowed(Headers(raw=[(b"origin", b"http://gate.example")]), ())
