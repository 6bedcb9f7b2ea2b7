"""A connection on a thread of its own, and the calls that other threads make through it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any, TypeVar

import pika
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel

from predictq.brokers.amqp.errors import closed_channel, closed_connection
from predictq.brokers.amqp.options import Place
from predictq.brokers.amqp.wire import Listener, Wire
from predictq.errors import BrokerUnavailable, PredictqError

__all__ = ["Connection", "Line"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class Connection:
    """Opens at `open`, and again after it was lost. Used by one thread, beside what it does itself."""

    def __init__(self, place: Place, name: str, heartbeat_seconds: int) -> None:
        self.place = place
        self._name = name
        self._heartbeat = heartbeat_seconds
        self._wire: Wire | None = None
        self._thread: threading.Thread | None = None
        self._lost: PredictqError | None = None
        self.blocked: str | None = None
        """Why the server takes no messages at the moment."""
        self.unblocked = threading.Event()
        self.unblocked.set()

    @property
    def is_open(self) -> bool:
        """Whether it was opened and is not known to be lost."""
        return self._wire is not None and self._lost is None

    def is_on(self, wire: Wire) -> bool:
        """Whether that is what it is open on, and not one that was lost before."""
        return self._wire is wire and self._lost is None

    @property
    def wire(self) -> Wire:
        """For the connection's own thread, or to add a callback to it. Raises what ended the connection."""
        if self._wire is None or self._lost is not None:
            raise self._lost or BrokerUnavailable(f"broker {self.place.shown}: the connection is closed")
        return self._wire

    def open(self) -> None:
        """Connect to the first host that lets us in; does nothing where it is open. Raises what the last one said."""
        if self.is_open:
            return
        self.close()
        failure: PredictqError | None = None
        for host, port in self.place.hosts:
            try:
                self._open(host, port)
            except BrokerUnavailable as error:
                failure = error
            else:
                return
        raise failure or BrokerUnavailable(f"broker {self.place.shown}: no host is named")

    def close(self) -> None:
        """Say goodbye to the server and end the thread; may be called again."""
        wire, thread = self._wire, self._thread
        self._wire = self._thread = None
        if wire is not None and self._lost is None:
            wire.ioloop.add_callback_threadsafe(lambda: wire.close() if wire.is_open else None)
        if thread is not None:
            thread.join(self.place.options.connect_timeout_seconds)
            if thread.is_alive() and wire is not None:
                # The server does not answer our goodbye; without it the socket ends as well.
                wire.ioloop.add_callback_threadsafe(wire.ioloop.stop)
                thread.join()

    def soon(self, call: Callable[[Wire], None]) -> None:
        """Have `call` run on the connection's thread; returns at once. Raises what ended the connection."""
        wire = self.wire

        def now() -> None:
            try:
                call(wire)
            except Exception as error:
                # A defect of ours; it must not leave anybody waiting.
                log.exception("broker %s: the connection ends", self.place.shown)
                wire.end(error)

        wire.ioloop.add_callback_threadsafe(now)

    def emit(self, block: bytes) -> None:
        """Send whole frames; returns at once. Nothing is sent where the connection is lost by then."""
        self.soon(lambda wire: wire.emit(block))

    def run(self, call: Callable[[Wire], T]) -> T:
        """What `call` returns, run on the connection's thread."""
        done: Future[T] = Future()

        def now(wire: Wire) -> None:
            try:
                done.set_result(call(wire))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                done.set_exception(error)

        self.soon(now)
        return self.answer(done, "its own thread is busy")

    def answer(self, done: "Future[T]", what: str) -> T:
        """Wait for it. Raises BrokerUnavailable where it does not come."""
        seconds = self.place.options.answer_timeout_seconds
        waited = 0.0
        while True:
            try:
                return done.result(min(1.0, seconds))
            except Late:
                waited += min(1.0, seconds)
                self.wire  # noqa: B018 - raises what ended the connection
                if waited >= seconds:
                    raise BrokerUnavailable(
                        f"broker {self.place.shown}: no answer within {seconds:g} s ({what})"
                    ) from None

    def line(self) -> "Line":
        """A new channel."""
        opened: Future[Channel] = Future()
        line = Line(self)

        def closed(_: Channel, error: BaseException) -> None:
            line.ended(error)
            if not opened.done():
                opened.set_exception(closed_channel(error, self.place.shown))

        def begin(wire: Wire) -> None:
            channel = wire.channel(on_open_callback=opened.set_result)
            channel.add_on_close_callback(closed)

        self.soon(begin)
        line.channel = self.answer(opened, "opening a channel")
        line.number = line.channel.channel_number
        return line

    def _open(self, host: str, port: int) -> None:
        _quiet()
        place, opening = self.place, Future[Wire]()
        where = f"{place.scheme}://{host}:{port}/{'' if place.vhost == '/' else place.vhost}"
        context = place.tls()
        parameters = pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=place.vhost,
            credentials=pika.PlainCredentials(place.user, place.password),
            heartbeat=self._heartbeat,
            ssl_options=None if context is None else pika.SSLOptions(context, host),
            socket_timeout=place.options.connect_timeout_seconds,
            stack_timeout=2 * place.options.connect_timeout_seconds,
            client_properties={"connection_name": self._name},
        )

        def opened(wire: Wire) -> None:
            wire.prepare()
            wire.add_on_connection_blocked_callback(self._on_blocked)
            wire.add_on_connection_unblocked_callback(self._on_unblocked)
            opening.set_result(wire)

        def refused(wire: Wire, error: BaseException) -> None:
            opening.set_exception(closed_connection(wire.ended_by or error, where))
            wire.ioloop.stop()

        def closed(wire: Wire, error: BaseException) -> None:
            self._lost = closed_connection(error, where)
            self.blocked = None
            self.unblocked.set()
            if not opening.done():
                opening.set_exception(self._lost)
            wire.ioloop.stop()

        def serve() -> None:
            loop = IOLoop()
            try:
                Wire(
                    parameters,
                    on_open_callback=opened,
                    on_open_error_callback=refused,
                    on_close_callback=closed,
                    custom_ioloop=loop,
                )
                loop.start()
            except Exception as error:
                # As in `soon`.
                log.exception("broker %s: the connection's thread ends", where)
                self._lost = BrokerUnavailable(f"broker {where}: the connection's thread ended ({error})")
                self.unblocked.set()
                if not opening.done():
                    opening.set_exception(self._lost)
            finally:
                loop.close()

        self._lost = None
        self._thread = threading.Thread(target=serve, name=f"{self._name}-amqp", daemon=True)
        self._thread.start()
        self._wire = opening.result()

    def _on_blocked(self, _: Wire, frame: Any) -> None:
        self.blocked = str(frame.method.reason)
        self.unblocked.clear()

    def _on_unblocked(self, *_: object) -> None:
        self.blocked = None
        self.unblocked.set()


class Line:
    """A channel, and who listens to it."""

    channel: Channel
    number: int

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.error: BaseException | None = None
        """What ended it, as far as it was told."""
        self._wire = connection.wire
        self.on_end: Callable[[PredictqError], None] | None = None
        self._waiting: Future[Any] | None = None

    @property
    def is_open(self) -> bool:
        return self.error is None and self.connection.is_on(self._wire)

    def ended(self, error: BaseException) -> None:
        """On the connection's thread: the channel is closed."""
        self.error = error
        waiting, self._waiting = self._waiting, None
        ours = closed_channel(error, self.connection.place.shown)
        if hasattr(self, "number"):
            self._wire.forget(self.number)
        if waiting is not None and not waiting.done():
            waiting.set_exception(ours)
        if self.on_end is not None:
            self.on_end(ours)

    def listen(self, listener: Listener) -> None:
        """Deliveries and confirms go to `listener`."""
        self.connection.run(lambda wire: wire.listen(self.number, listener))

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call a method of pika's channel and wait for the server's answer. Raises what the server said instead."""
        done: Future[Any] = Future()

        def begin(_: Wire) -> None:
            if self.error is not None:
                done.set_exception(closed_channel(self.error, self.connection.place.shown))
                return
            self._waiting = done
            try:
                getattr(self.channel, method)(**arguments, callback=done.set_result)
            except pika.exceptions.AMQPError as error:
                done.set_exception(closed_channel(error, self.connection.place.shown))

        self.connection.soon(begin)
        try:
            return self.connection.answer(done, method.replace("_", "."))
        finally:
            self._waiting = None

    def close(self) -> None:
        """Close it and wait until it is; what was handed out on it goes back to its queues. May be called again."""
        done: Future[None] = Future()

        def ended(_: PredictqError) -> None:
            if not done.done():
                done.set_result(None)

        def begin(_: Wire) -> None:
            if self.error is not None or not self.channel.is_open:
                ended(BrokerUnavailable(""))
                return
            self.on_end = ended
            Wire.close_channel(self.channel)

        if self.is_open:
            self.connection.soon(begin)
            self.connection.answer(done, "channel.close")


def _quiet() -> None:
    """What pika logs of a failure, with its stack, is what our own errors say in a line."""
    log = logging.getLogger("pika")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
