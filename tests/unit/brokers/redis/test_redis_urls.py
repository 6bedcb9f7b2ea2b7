"""What a redis:// URL may say."""

import subprocess
import sys

import pytest

from predictq.brokers import open_broker
from predictq.brokers.redis.options import place_of
from predictq.errors import UserMistake


def test_everything_that_a_url_says() -> None:
    place = place_of("rediss://me:p%40ss%2F@host:7000/3?max_length=10&tls_verify=false")
    assert (place.host, place.port, place.database, place.user, place.password) == ("host", 7000, 3, "me", "p@ss/")
    assert place.tls
    assert (place.options.max_length, place.options.tls_verify) == (10, False)


def test_what_a_url_leaves_out() -> None:
    place = place_of("redis://host")
    assert (place.port, place.database, place.user, place.password, place.tls) == (6379, 0, None, None, False)


def test_nothing_shows_the_password() -> None:
    place = place_of("redis://me:secret@host:7000/3")
    assert place.shown == "redis://host:7000/3"
    assert "secret" not in repr(place)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis:///0", "names no host"),
        ("redis://:secret@host:port/0", "port"),
        ("redis://:secret@host:1/zero", "'zero' is no number of a database"),
        ("redis://:secret@host/0?maxlength=1", "no option 'maxlength'; it has .*max_length"),
        ("redis://:secret@host/0?max_length=many", "option 'max_length'.*integer"),
        ("redis://:secret@host/0?max_length=-1", "option 'max_length'.*greater"),
    ],
)
def test_what_is_wrong_is_named(url: str, problem: str) -> None:
    with pytest.raises(UserMistake, match=problem) as caught:
        open_broker(url)
    assert "secret" not in str(caught.value)


def test_opening_connects_nothing() -> None:
    open_broker("redis://nowhere.invalid:1/0").close()


@pytest.mark.parametrize("driver", ["redis", "hiredis"])
def test_a_missing_driver_names_the_extra(driver: str) -> None:
    without = f"import sys; sys.modules[{driver!r}] = None"
    program = f"{without}; from predictq.brokers import open_broker; open_broker('redis://host')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "MissingExtra" in ended.stderr
    assert "pip install 'predictq[redis]'" in ended.stderr
