"""The bare loop on RabbitMQ with pika: `amqp_loop.py URL NAME MODEL`. Reads until it is ended.

The connection has a thread of its own; confirms are awaited once a batch, and then one acknowledgement covers it all.
"""

import queue
import sys
import threading
from typing import Any

import pika

from answering import BATCH, load, predict, settle_memory

PREFETCH = 2 * BATCH
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class Link:
    """One connection with a channel to read and a channel to publish, run by a thread."""

    def __init__(self, url: str, name: str) -> None:
        self.ready = threading.Event()
        self.failed: str | None = None
        self._input, self._output = f"{name}.requests", f"{name}.predictions"
        self._received: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._confirmed = threading.Event()
        self._published = self._acknowledged = self._low = 0
        self._early: set[int] = set()
        self._connection = pika.SelectConnection(
            pika.URLParameters(url),
            on_open_callback=self._opened,
            on_open_error_callback=lambda _, error: self._fail(error),
            on_close_callback=lambda _, reason: self._fail(reason),
        )
        threading.Thread(target=self._connection.ioloop.start, daemon=True).start()

    def receive(self) -> tuple[int, list[bytes]]:
        """The last delivery tag and the messages of a batch."""
        tag, body = self._received.get()
        bodies = [body]
        while len(bodies) < BATCH:
            try:
                tag, body = self._received.get(timeout=0.005)
            except queue.Empty:
                break
            bodies.append(body)
        return tag, bodies

    def settle(self, tag: int, values: list[bytes]) -> None:
        """Publish, wait until all are confirmed, acknowledge everything up to `tag`."""
        self._confirmed.clear()
        self._connection.ioloop.add_callback_threadsafe(lambda: self._publish(values))
        if not self._confirmed.wait(60) or self.failed:
            raise SystemExit(f"not all predictions were confirmed: {self.failed}")
        self._connection.ioloop.add_callback_threadsafe(lambda: self._reading.basic_ack(tag, multiple=True))

    def _opened(self, connection: Any) -> None:
        self._writing = connection.channel(on_open_callback=self._write)

    def _write(self, channel: Any) -> None:
        channel.add_on_return_callback(lambda *_: self._fail("a prediction came back"))
        channel.confirm_delivery(self._confirm, callback=lambda _: self._open_reading())

    def _open_reading(self) -> None:
        self._reading = self._connection.channel(on_open_callback=self._read)

    def _read(self, channel: Any) -> None:
        channel.basic_qos(prefetch_count=PREFETCH)
        put = self._received.put
        channel.basic_consume(self._input, lambda _, method, __, body: put((method.delivery_tag, body)))
        self.ready.set()

    def _publish(self, values: list[bytes]) -> None:
        publish, output = self._writing.basic_publish, self._output
        for value in values:
            publish("", output, value, PERSISTENT, mandatory=True)
        self._published += len(values)

    def _confirm(self, frame: Any) -> None:
        method = frame.method
        if method.NAME != "Basic.Ack":
            self._fail("a prediction was refused")
            return
        if method.multiple:
            self._early = {tag for tag in self._early if tag > method.delivery_tag}
            self._low = max(self._low, method.delivery_tag)
        else:
            self._early.add(method.delivery_tag)
        while self._low + 1 in self._early:
            self._low += 1
            self._early.discard(self._low)
        if self._low == self._published:
            self._confirmed.set()

    def _fail(self, reason: object) -> None:
        self.failed = self.failed or str(reason)
        self._confirmed.set()
        self.ready.set()


def main(url: str, name: str, model_file: str) -> None:
    model = load(model_file)
    link = Link(url, name)
    if not link.ready.wait(30) or link.failed:
        raise SystemExit(f"no connection: {link.failed}")
    settle_memory()
    while True:
        tag, bodies = link.receive()
        link.settle(tag, predict(bodies, model))


if __name__ == "__main__":
    main(*sys.argv[1:4])
