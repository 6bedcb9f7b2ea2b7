"""What a URL of RabbitMQ says, and what is refused in it."""

import pytest

from predictq.brokers.amqp.options import place_of
from predictq.errors import UserMistake


def test_a_whole_url() -> None:
    place = place_of("amqps://us%40er:p%3Ass@a:5671,[::1]:5000,b/my%2Fhost?answer_timeout_seconds=7")
    assert (place.user, place.password, place.vhost) == ("us@er", "p:ss", "my/host")
    assert place.hosts == (("a", 5671), ("::1", 5000), ("b", 5671))
    assert place.options.answer_timeout_seconds == 7


def test_the_least_that_a_url_may_say() -> None:
    place = place_of("amqp://localhost")
    assert (place.hosts, place.user, place.vhost) == ((("localhost", 5672),), "guest", "/")


def test_the_password_is_never_shown() -> None:
    place = place_of("amqp://user:secret@host/vhost")
    assert "secret" not in repr(place) + place.shown
    assert place.shown == "amqp://host:5672/vhost"


@pytest.mark.parametrize(
    "url", ["amqp://", "amqp://u:secret@/v", "amqp://host:port", "amqp://host:70000", "amqp://a,,b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserMistake, match="would be right") as caught:
        place_of(url)
    assert "secret" not in str(caught.value)


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserMistake, match=r"'hearbeat'.*heartbeat_seconds"):
        place_of("amqp://host?hearbeat=3")


def test_a_bad_value_is_refused_with_the_options_name() -> None:
    with pytest.raises(UserMistake, match=r"heartbeat_seconds .* 'soon'"):
        place_of("amqp://host?heartbeat_seconds=soon")


def test_a_certificate_that_is_not_there_is_told() -> None:
    with pytest.raises(UserMistake, match="certificate"):
        place_of("amqps://host?ca_file=/nowhere/ca.pem").tls()
