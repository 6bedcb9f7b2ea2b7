"""How far a group is behind: what its queues hold."""

from predictq.brokers.amqp.active import Reading
from predictq.brokers.amqp.connection import Connection, Line
from predictq.brokers.amqp.errors import NOT_FOUND, code_of
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.port import Lag
from predictq.errors import UserMistake

__all__ = ["lag_of", "looked_at"]


def lag_of(connection: Connection, queues: GroupQueues, reader: Reading | None) -> Lag:
    """AMQP tells what is ready and how many read; what is handed out, and how old, only where `reader`, the group's
    member in this process, has it all."""
    line = connection.line()
    try:
        ready = members = 0
        for queue in queues.homes:
            waiting, readers = _asked(line, queue.name)
            ready += waiting
            members = max(members, readers)
        if queues.presence is not None:
            members = _asked(line, queues.presence.name)[1]
        beside = (queues.alone, *queues.delays) if queues.alone is not None else ()
        ready += sum(_asked(line, queue.name)[0] for queue in beside)
    finally:
        line.close()
    one_at_a_time = queues.in_turn and len(queues.homes) == 1 and queues.alone is None
    unsettled = reader.unsettled(queues.topic) if reader and one_at_a_time else None
    if unsettled is None:
        return Lag(ready=ready, in_flight=None, oldest_published_at=None, members=members)
    return Lag(ready, len(unsettled), min(unsettled, default=None), members)


def looked_at(connection: Connection, method: str, **arguments: object) -> bool:
    """Whether a passive declaration finds what it names."""
    line = connection.line()
    try:
        line.ask(method, passive=True, **arguments)
    except UserMistake:
        if line.error is not None and code_of(line.error) == NOT_FOUND:
            return False
        raise
    finally:
        line.close()
    return True


def _asked(line: Line, queue: str) -> tuple[int, int]:
    method = line.ask("queue_declare", queue=queue, passive=True).method
    return int(method.message_count), int(method.consumer_count)
