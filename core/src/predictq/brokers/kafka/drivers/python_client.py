"""Making clients of kafka-python."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kafka import errors
from kafka.net.compat import KafkaNetClient

__all__ = ["closed", "connected"]

_REFUSALS = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
_CERTAIN = 2


def connected(kind: type[Any], settings: Mapping[str, Any]) -> Any:
    """A client that has found its cluster.

    Where it finds none its constructor raises and leaves a thread behind, which is ended here.
    """
    client: Any = object.__new__(kind)
    try:
        kind.__init__(client, **settings, kafka_client=_Watched)
    except BaseException as error:
        network, watched = getattr(client, "_net", None), getattr(client, "_client", None)
        if network is not None:
            with suppress(errors.KafkaError, OSError):
                client._client.close()  # noqa: SLF001
            network.stop()
        if isinstance(error, errors.KafkaError) and watched is not None and watched.refused is not None:
            raise watched.refused from error
        raise
    return client


class _Watched(KafkaNetClient):  # type: ignore[misc] # kafka-python has no types
    """Gives up when a broker does not let it in: kafka-python takes that for a broker that is away, and tries on."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.refused: errors.KafkaError | None = None
        self._ended_at_login = 0
        if str(settings.get("security_protocol", "")).startswith("SASL"):
            self._connection_of = self._manager.get_connection
            self._manager.get_connection = self._watch

    def _watch(self, *args: Any, **settings: Any) -> Any:
        connection = self._connection_of(*args, **settings)
        if not connection.init_future.is_done and not hasattr(connection, "watched"):
            connection.watched = True
            connection.init_future.add_errback(self._failed)
        return connection

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, _REFUSALS):
            self.refused = error
        elif isinstance(error, errors.KafkaConnectionError) and "socket disconnected" in str(error):
            # Brokers end the connection of who logs in with a wrong password, with or without a word.
            self._ended_at_login += 1
            if self._ended_at_login == _CERTAIN and not self._manager.bootstrapped:
                self.refused = errors.SaslAuthenticationFailedError("the connection was ended while logging in")
        if self.refused is not None and not self._manager.bootstrapped:
            self._manager.closed = True


def closed(client: Any, close: Callable[[], None]) -> None:
    """Close a client, and the sockets that its own close leaves open where something was still to be written."""
    connections = list(client._client._manager._conns.values())  # noqa: SLF001
    transports = [connection.transport for connection in connections if connection.transport is not None]
    sockets = [transport._sock for transport in transports if transport._sock is not None]  # noqa: SLF001
    try:
        close()
    finally:
        for left in sockets:
            left.close()
