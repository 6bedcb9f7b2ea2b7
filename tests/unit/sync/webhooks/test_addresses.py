"""Nothing is pushed to an address that is not public, by whatever name."""

import ipaddress
from collections.abc import Sequence

import pytest
from tests.unit.sync.webhooks.conftest import Pushing, push_settings
from tests.unit.sync.webhooks.receiver import TheReceiver

from predictq.push.targets import Targets, is_public

STRICT = {"allow_private_addresses": False, "schedule_seconds": (0,)}


def resolving(*addresses: str) -> object:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "::",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_refused_after_resolution(
    pushing: Pushing, receiver: TheReceiver, address: str
) -> None:
    url = f"http://receiver.example:{receiver.url.rpartition(':')[2]}"
    with pushing.dispatching(push=push_settings(**STRICT), resolve=resolving(address)):
        pushing.finish({"url": url})
        (row,) = pushing.settled("failed")

    assert row["history"][0]["error"].startswith(f"refused: {address} is no public address")
    assert receiver.pushes() == []


def test_one_private_address_among_public_ones_is_enough(pushing: Pushing, receiver: TheReceiver) -> None:
    resolve = resolving("93.184.216.34", "127.0.0.1")
    with pushing.dispatching(push=push_settings(**STRICT), resolve=resolve):
        pushing.finish({"url": "http://receiver.example"})
        (row,) = pushing.settled("failed")

    assert "127.0.0.1 is no public address" in row["history"][0]["error"]


def test_the_connection_goes_to_the_address_that_was_checked(pushing: Pushing, receiver: TheReceiver) -> None:
    port = receiver.url.rpartition(":")[2]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with pushing.dispatching(resolve=resolve):
        pushing.finish({"url": f"http://receiver.example:{port}/hook"})
        (push,) = receiver.pushes(1)

    assert push.headers["host"] == f"receiver.example:{port}"
    assert asked == ["receiver.example"]


def test_a_url_that_came_past_the_producers_is_checked_too(pushing: Pushing, receiver: TheReceiver) -> None:
    with pushing.dispatching(push=push_settings(allow_http=False, schedule_seconds=(0,))):
        pushing.finish({"url": receiver.url})
        pushing.finish({"url": "no url"})
        (row,) = pushing.settled("failed")

    assert "https" in row["history"][0]["error"]
    assert receiver.pushes() == []


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://example.org/", "push.allow_http"),
        ("ftp://example.org/", "no URL of https"),
        ("https://", "no URL of https"),
        ("example.org/hook", "no URL of https"),
        ("https://user:secret@example.org/", "user name or password"),
        ("https://example.org/#top", "fragment"),
        ("https://example.org:99999/", "is no URL"),
        ("https://exa mple.org/", "characters"),
        ("https://[::1/", "is no URL"),
        ("https://127.0.0.1/", "no public address"),
        ("https://[::ffff:10.0.0.1]/", "no public address"),
        ("https://localhost/", "this machine's own"),
        ("https://example.org/" + "x" * 2048, "at most 2048"),
    ],
)
def test_urls_that_are_refused_by_their_looks(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as refused:
        Targets().check(url)
    assert "secret" not in str(refused.value)


def test_hosts_and_ports_can_be_named() -> None:
    targets = Targets(hosts=["hooks.example.org", ".example.com"], ports=[443])
    for url in ("https://hooks.example.org/a", "https://a.b.example.com/", "https://example.com.example.com:443/"):
        assert targets.check(url) == url
    for url in ("https://example.org/", "https://example.com/", "https://evilexample.com/"):
        with pytest.raises(ValueError, match=r"push\.hosts"):
            targets.check(url)
    with pytest.raises(ValueError, match=r"push\.ports"):
        targets.check("https://hooks.example.org:8443/")


def test_public_addresses_are_public() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"):
        assert is_public(ipaddress.ip_address(address)), address
