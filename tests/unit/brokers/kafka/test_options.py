"""What the URL of a Kafka may say."""

import pytest

from predictq.brokers.kafka import open_url
from predictq.brokers.kafka.options import Options, options_of
from predictq.errors import UserMistake


def test_addresses_get_the_usual_port() -> None:
    assert options_of("kafka://a,b:19092").servers == ("a:9092", "b:19092")


def test_user_and_password_are_decoded_and_never_shown() -> None:
    options = options_of("kafka://me:p%40ss%2Fw@host:1?security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-256")
    assert (options.username, options.password) == ("me", "p@ss/w")
    assert "p@ss" not in repr(options)
    assert "p@ss" not in str(options)
    assert options.shown == "host:1"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kafka://", "is no address"),
        ("kafka://host/topic", "is no address"),
        ("kafka://host?colour=red", "'colour' is no option of kafka://; known are compression, "),
        ("kafka://host?password=x", "'password' is no option"),
        ("kafka://host?request_seconds=soon", "request_seconds is 'soon'"),
        ("kafka://host?transactions=maybe", "transactions is 'maybe'"),
        ("kafka://host?security_protocol=SASL_SSL", "needs a user and a password"),
        ("kafka://me:secret@host", "a user needs security_protocol=SASL_SSL"),
        ("kafka://host?ssl_keyfile=k.pem", "ssl_keyfile needs ssl_certfile"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(url: str, message: str) -> None:
    with pytest.raises(UserMistake) as caught:
        open_url(url)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_option_tells_what_it_is() -> None:
    assert [name for name, field in Options.model_fields.items() if not field.description] == []


def test_opening_connects_nothing_and_states_its_limit() -> None:
    broker = open_url("kafka://127.0.0.1:1?message_max_bytes=2000")
    assert broker.max_message_bytes == 2000
    broker.close()
