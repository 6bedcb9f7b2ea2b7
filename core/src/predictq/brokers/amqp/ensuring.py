"""Bringing topics and groups to what a topology asks for."""

from collections.abc import Sequence

from predictq.brokers.amqp import registry
from predictq.brokers.amqp.connection import Connection, Line
from predictq.brokers.amqp.lag import looked_at
from predictq.brokers.amqp.queues import GroupQueues, Queue
from predictq.brokers.amqp.registry import Known, KnownTopic
from predictq.brokers.port import Change
from predictq.errors import UserMistake
from predictq.topology import Topology

__all__ = ["ensure"]


def ensure(connection: Connection, topology: Topology, *, dry_run: bool, prune: bool) -> Sequence[Change]:
    """Create what is missing; with `prune` delete what the topology does not name."""
    _refuse(topology)
    with registry.locked(connection, topology.prefix):
        known = registry.read(connection, topology.prefix, locked=True)
        _compare(known, topology)
        wanted = _joined(known, topology)
        changes = [*_created(known, wanted), *_missing(connection, known)]
        gone = _without(wanted, topology) if prune else wanted
        changes += _deleted(wanted, gone)
        if dry_run or not changes:
            return changes
        line = connection.line()
        try:
            _declare(line, wanted)
            _delete(line, wanted, gone)
        finally:
            line.close()
        if gone.topics or gone.groups:
            registry.write(connection, topology.prefix, gone.model_copy(update={"version": known.version + 1}))
        else:
            registry.remove(connection, topology.prefix)
        return changes


def _refuse(topology: Topology) -> None:
    for spec in topology.groups:
        if spec.start == "beginning":
            raise UserMistake(
                f"group {spec.name} asks to start at the beginning, which RabbitMQ cannot do: a group gets what is "
                'published after it was created; leave out `start = "beginning"`, or use another broker'
            )


def _compare(known: Known, topology: Topology) -> None:
    """Raises UserMistake where what exists contradicts the topology and cannot be changed."""
    for spec in topology.topics:
        found = known.topics.get(spec.name)
        if found is None:
            continue
        if found.partitions != spec.partitions:
            raise UserMistake(
                f"topic {spec.name} has {_partitions(found.partitions)}, the settings ask for {spec.partitions}: keys "
                f"would change places, so the number is fixed; set `partitions = {found.partitions}` for its endpoint"
            )
        if found.ordered != spec.ordered:
            raise UserMistake(
                f"topic {spec.name} was created with `ordered = {str(found.ordered).lower()}`, the settings ask for "
                f"{str(spec.ordered).lower()}: its queues are others; take it out of the settings, let it be emptied "
                "and pruned (`predictq topics ensure --prune`), then put it in again"
            )
    names = {spec.name for spec in topology.topics} | set(known.topics)
    for group in topology.groups:
        for topic in group.topics:
            if topic not in names:
                raise UserMistake(f"group {group.name} reads {topic}, which is no topic of the topology")
            single = known.groups.get(group.name, {}).get(topic)
            if single is not None and single != group.single:
                raise UserMistake(
                    f"group {group.name} on {topic} was created {'' if single else 'not '}to be read by one member at "
                    "a time, and a queue cannot be changed; prune the group first"
                )


def _joined(known: Known, topology: Topology) -> Known:
    """What is known and what the topology adds."""
    topics = dict(known.topics)
    groups = {name: dict(reads) for name, reads in known.groups.items()}
    for spec in topology.topics:
        topics.setdefault(spec.name, KnownTopic(partitions=spec.partitions, ordered=spec.ordered))
    for group in topology.groups:
        reads = groups.setdefault(group.name, {})
        for topic in group.topics:
            reads.setdefault(topic, group.single)
    return known.model_copy(update={"topics": topics, "groups": groups})


def _without(wanted: Known, topology: Topology) -> Known:
    """What is left when everything that the topology does not name is gone."""
    topics = {spec.name for spec in topology.topics}
    reads = {spec.name: set(spec.topics) for spec in topology.groups}
    return wanted.model_copy(
        update={
            "topics": {name: one for name, one in wanted.topics.items() if name in topics},
            "groups": {
                name: {topic: single for topic, single in its.items() if topic in reads[name] and topic in topics}
                for name, its in wanted.groups.items()
                if name in reads
            },
        }
    )


def _created(known: Known, wanted: Known) -> list[Change]:
    changes = [
        Change("create", f"topic {name} ({_partitions(topic.partitions)})")
        for name, topic in wanted.topics.items()
        if name not in known.topics
    ]
    for group, reads in wanted.groups.items():
        before = known.groups.get(group)
        if before is None:
            changes.append(Change("create", f"group {group}"))
        changes += [
            Change("create", f"group {group} on {topic}, from its end")
            for topic in reads
            if before is None or topic not in before
        ]
    return changes


def _missing(connection: Connection, known: Known) -> list[Change]:
    """What was created once and is there no more: somebody deleted it."""
    changes = [
        Change("create", f"exchange {name}, which somebody deleted")
        for name in known.topics
        if not looked_at(connection, "exchange_declare", exchange=name)
    ]
    return changes + [
        Change("create", f"queue {queue.name}, which somebody deleted")
        for queues in _queues(known)
        for queue in queues.all
        if not looked_at(connection, "queue_declare", queue=queue.name)
    ]


def _deleted(wanted: Known, gone: Known) -> list[Change]:
    changes: list[Change] = []
    for group, reads in wanted.groups.items():
        left = gone.groups.get(group)
        changes += [
            Change("delete", f"group {group} on {topic}") for topic in reads if left is None or topic not in left
        ]
        if left is None:
            changes.append(Change("delete", f"group {group}"))
    return changes + [Change("delete", f"topic {name}") for name in wanted.topics if name not in gone.topics]


def _declare(line: Line, wanted: Known) -> None:
    """Everything; the server compares what exists with what is asked for, and refuses where they differ."""
    for name in wanted.topics:
        line.ask("exchange_declare", exchange=name, exchange_type="topic", durable=True)
    for queues in _queues(wanted):
        for queue in queues.all:
            _declare_queue(line, queues.topic, queue)


def _declare_queue(line: Line, topic: str, queue: Queue) -> None:
    line.ask("queue_declare", queue=queue.name, durable=True, arguments=dict(queue.arguments))
    if queue.pattern is not None:
        line.ask("queue_bind", queue=queue.name, exchange=topic, routing_key=queue.pattern)


def _delete(line: Line, wanted: Known, gone: Known) -> None:
    left = {queue.name for queues in _queues(gone) for queue in queues.all}
    for queues in _queues(wanted):
        for queue in queues.all:
            if queue.name not in left:
                line.ask("queue_delete", queue=queue.name)
    for name in wanted.topics:
        if name not in gone.topics:
            line.ask("exchange_delete", exchange=name)


def _queues(known: Known) -> list[GroupQueues]:
    return [
        known.queues(topic, group) for group, reads in known.groups.items() for topic in reads if topic in known.topics
    ]


def _partitions(count: int) -> str:
    return f"{count} partition" if count == 1 else f"{count} partitions"
