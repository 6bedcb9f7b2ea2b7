"""Kafka: `kafka://` on kafka-python, `kafka+confluent://` on confluent-kafka.

What the adapter does is written once, above the small protocol of `driver.py`, which each driver fulfils.
"""

from importlib import import_module

from predictq.brokers.kafka.broker import KafkaBroker
from predictq.brokers.kafka.driver import Driver
from predictq.brokers.kafka.options import Options, options_of
from predictq.brokers.urls import split_url

__all__ = ["KafkaBroker", "Options", "open_url"]

_DRIVERS = {
    "kafka": "predictq.brokers.kafka.drivers.python_driver",
    "kafka+confluent": "predictq.brokers.kafka.drivers.confluent_driver",
}


def open_url(url: str) -> KafkaBroker:
    """The cluster at `kafka://host:port`; connects nothing yet. Raises UserMistake, MissingExtra."""
    options = options_of(url)
    driver: Driver = import_module(_DRIVERS[split_url(url).scheme]).open_driver(options)
    return KafkaBroker(driver, options)
