"""A client beside the broker: it publishes by itself, without a gateway in between."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack

from predictq.brokers import open_broker
from predictq.errors import BrokerUnavailable, PublishError, StorageUnavailable, Unavailable, UserMistake
from predictq.ids import new_id
from predictq.names import Names
from predictq.settings import Settings
from predictq.topology import topology_of
from predictq_producers.client.errors import GatewayUnavailable, NotFinished, NotFound, Rejected
from predictq_producers.client.exchange import SubmitOptions, submit_body
from predictq_producers.client.frames import instances_of
from predictq_producers.client.request import Request, batched_instances, numbered_key
from predictq_producers.client.result import Result
from predictq_producers.client.retrying import Attempts
from predictq_producers.client.topic_stream import TopicStream
from predictq_producers.deriving import keyed_id
from predictq_producers.refusals import Refused
from predictq_producers.requests import Prepared, maker_of, request_makers

if TYPE_CHECKING:
    from predictq_producers.client.sync_client import Client

__all__ = ["DirectClient"]

PUBLISHED_AT_ONCE = 500
PUBLISHED_BYTES = 16 * 1024 * 1024


class DirectClient:
    """Submits as `Client` does, to the broker of the settings. May be used by several threads; `close` it.

    Results are in the database, which a gateway reads: without one `result`, `results`, `predict` and `cancel` raise
    UserMistake; `stream` reads them from the broker.
    """

    def __init__(self, settings: Settings, reading: "Client | None", timeout: float) -> None:
        """Connects, and ensures topics and groups. Raises SettingsError, BrokerUnavailable."""
        self._reading = reading
        self._timeout = timeout
        self._names = Names(settings.prefix)
        self._broker = open_broker(settings.broker_url())
        try:
            self._makers = request_makers(settings, max_message_bytes=self._broker.max_message_bytes)
            with closing(self._broker.admin()) as admin:
                admin.ensure(topology_of(settings))
            self._producer = self._broker.producer()
        except BaseException:
            self._broker.close()
            raise
        self._publishing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._producer.close()
        self._broker.close()
        if self._reading is not None:
            self._reading.close()

    def submit(
        self, endpoint: str, instances: Any, *, idempotency_key: str | None = None, **options: Unpack[SubmitOptions]
    ) -> Request:
        """See Client.submit; the same key gives the same request as there, of which whatever comes first is predicted.

        What is too large for a message is written to the storage of the settings first. Raises Rejected and NotFound as
        a gateway answers them, and BrokerUnavailable or StorageUnavailable after `timeout` seconds.
        """
        prepared = self._prepared(endpoint, submit_body(instances_of(instances), options), idempotency_key)
        self._publish([prepared])
        return Request(self, prepared.id, endpoint)

    def submit_many(
        self,
        endpoint: str,
        instances: Iterable[Any],
        *,
        instances_per_request: int = 100,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> list[Request]:
        """See Client.submit_many."""
        accepted: list[Request] = []
        waiting: list[Prepared] = []
        size = 0

        def flush() -> None:
            nonlocal size
            self._publish(waiting)
            accepted.extend(Request(self, prepared.id, endpoint) for prepared in waiting)
            waiting.clear()
            size = 0

        try:
            for number, some in enumerate(batched_instances(instances_of(instances), instances_per_request)):
                key = numbered_key(idempotency_key, number)
                waiting.append(self._prepared(endpoint, submit_body(some, options), key))
                size += waiting[-1].size
                if len(waiting) >= PUBLISHED_AT_ONCE or size >= PUBLISHED_BYTES:
                    flush()
            flush()
        except (Unavailable, UserMistake) as error:
            error.add_note(f"{len(accepted)} requests were submitted before")
            raise
        return accepted

    def result(self, request_id: str, *, wait: float = 0.0) -> Result:
        """See Client.result."""
        return self._reader().result(request_id, wait=wait)

    def results(self, requests: Iterable[Request | str], *, wait: float = 60.0) -> Iterator[Result]:
        """See Client.results."""
        return self._reader().results(requests, wait=wait)

    def predict(
        self,
        endpoint: str,
        instances: Any,
        *,
        wait: float = 60.0,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Result:
        """See Client.predict."""
        reader = self._reader()
        request = self.submit(endpoint, instances, idempotency_key=idempotency_key, **options)
        result = reader.result(request.id, wait=wait)
        if not result.finished:
            raise NotFinished("request", request.id, wait)
        return result

    def stream(self, endpoint: str, *, group: str | None = None) -> TopicStream:
        """Predictions of the endpoint as they are published from now on, straight from the broker.

        Without a `group` every stream gets all of them, for as long as it is open, and a broker may drop what waits for
        one that is slow. With one, its streams share them, in however many processes, and each prediction is given out
        until it is settled, also those that came while nobody read: the group is created by the first of its streams,
        and stays until `predictq topics ensure --prune`. Raises NotFound, BrokerUnavailable, UserMistake.
        """
        if endpoint not in self._makers:
            raise NotFound(404, f"there is no endpoint {endpoint[:64]!r}")
        return TopicStream(self._broker, self._names, endpoint, group, self._timeout)

    def cancel(self, request_id: str) -> Result:
        """See Client.cancel."""
        return self._reader().cancel(request_id)

    def _reader(self) -> "Client":
        if self._reading is None:
            raise UserMistake(
                "this client has the broker alone; results are read from a gateway: "
                'Client.direct(settings, gateway="http://127.0.0.1:8700") would be right'
            )
        return self._reading

    def _prepared(self, endpoint: str, body: bytes, idempotency_key: str | None) -> Prepared:
        now = time.time()
        try:
            maker = maker_of(self._makers, endpoint)
            request_id = new_id() if idempotency_key is None else keyed_id(endpoint, idempotency_key)
            return maker.prepare(maker.read(body, now), request_id, now)
        except Refused as refused:
            _raise_as_answered(refused)

    def _publish(self, requests: Sequence[Prepared]) -> None:
        """Return when all are durable; what may have been lost is sent again, under its id."""
        payloads = [prepared.payload for prepared in requests if prepared.payload is not None]
        left = [prepared.message for prepared in requests]
        attempts = Attempts(self._timeout)
        while left:
            try:
                while payloads:
                    payloads[-1].write()
                    payloads.pop()
                with self._publishing:
                    self._producer.publish(left)
            except Unavailable as error:
                if isinstance(error, PublishError):
                    left = [left[index] for index in error.failed]
                try:
                    pause = attempts.pause_seconds(str(error))
                except GatewayUnavailable as given_up:
                    kind = StorageUnavailable if isinstance(error, StorageUnavailable) else BrokerUnavailable
                    raise kind(given_up.detail) from error
                time.sleep(pause)
            else:
                return


def _raise_as_answered(refused: Refused) -> NoReturn:
    kind = NotFound if refused.status == 404 else Rejected
    raise kind(refused.status, refused.detail, refused.faults) from refused
