"""RabbitMQ, 3.10 or later: `amqp://user:password@host:5672/vhost`, several hosts with commas between them.

A topic is an exchange, each group's copy of it a quorum queue. A batch is fetched ahead, its outputs are published in
one block, and when the server has confirmed them one acknowledgement settles it.
"""

from predictq.errors import MissingExtra

try:
    from predictq.brokers.amqp.broker import AmqpBroker
    from predictq.brokers.amqp.options import place_of
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "pika":
        raise
    raise MissingExtra("amqp", "rabbitmq") from error

__all__ = ["AmqpBroker", "open_url"]


def open_url(url: str) -> AmqpBroker:
    """The broker that `url` names; connects when something is first used. Raises UserMistake for a bad URL."""
    return AmqpBroker(place_of(url))
