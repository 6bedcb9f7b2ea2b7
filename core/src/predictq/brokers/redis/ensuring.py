"""Making the topics and groups of the server those of a topology."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictq.brokers.port import Change
from predictq.brokers.redis.connection import RedisConnection, Word
from predictq.brokers.redis.keys import groups_key, members_key, pulse_key, stream_key, topics_key
from predictq.brokers.redis.scripts import CREATE
from predictq.brokers.redis.topics import KnownTopic
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology

__all__ = ["ensure", "known_topics", "prune"]


@dataclass(slots=True)
class _Known:
    """What is there under a prefix."""

    topics: dict[str, KnownTopic]
    groups: dict[str, list[str]]
    """Topics that each group reads."""


def known_topics(connection: RedisConnection, prefix: str) -> dict[str, KnownTopic]:
    """Topics under the prefix, by name."""
    rows = connection.call("HGETALL", topics_key(prefix))
    found = zip(rows[::2], rows[1::2], strict=True)
    return {name.decode(): KnownTopic.model_validate_json(text) for name, text in found}


def ensure(connection: RedisConnection, topology: Topology, *, dry_run: bool) -> list[Change]:
    """Create what is missing; groups before the topics that they read, which nobody can publish to before.

    Raises UserMistake, before anything is done, where a topic has another number of partitions.
    """
    known = _known(connection, topology.prefix)
    changes = _topic_changes(known, topology.topics)
    changes += _group_changes(known, topology)
    if not dry_run:
        # What is there stays as it is; what somebody deleted by hand is made again.
        _create(connection, topology)
    return changes


def prune(connection: RedisConnection, topology: Topology, *, dry_run: bool) -> list[Change]:
    """Delete topics and groups that are under the topology's prefix and not in it."""
    known = _known(connection, topology.prefix)
    topics = {spec.name for spec in topology.topics}
    groups = {spec.name: spec.topics for spec in topology.groups}
    changes: list[Change] = []
    commands: list[Sequence[Word]] = []
    for group, read in known.groups.items():
        kept = [name for name in read if name in groups.get(group, ())]
        for name in read:
            if name not in kept:
                changes.append(Change("delete", f"group {group} on {name}"))
                commands += [("XGROUP", "DESTROY", stream, group) for stream in _streams(name, known.topics)]
        if group not in groups:
            changes.append(Change("delete", f"group {group}"))
            commands.append(("HDEL", groups_key(topology.prefix), group))
            commands.append(("DEL", members_key(group), pulse_key(group)))
        elif len(kept) < len(read):
            commands.append(("HSET", groups_key(topology.prefix), group, " ".join(kept)))
    for name in known.topics:
        if name not in topics:
            changes.append(Change("delete", f"topic {name}"))
            commands.append(("HDEL", topics_key(topology.prefix), name))
            for stream in _streams(name, known.topics):
                beside = (f"{stream}:{what}" for what in ("due", "published", "waiting", "delayed"))
                commands.append(("UNLINK", stream, *beside))
    if commands and not dry_run:
        connection.calls(commands)
    return changes


def _known(connection: RedisConnection, prefix: str) -> _Known:
    rows = connection.call("HGETALL", groups_key(prefix))
    groups = {name.decode(): read.decode().split() for name, read in zip(rows[::2], rows[1::2], strict=True)}
    return _Known(known_topics(connection, prefix), groups)


def _streams(name: str, topics: Mapping[str, KnownTopic]) -> list[str]:
    return [stream_key(name, partition) for partition in range(topics[name].partitions)] if name in topics else []


def _topic_changes(known: _Known, specs: Sequence[TopicSpec]) -> list[Change]:
    changes: list[Change] = []
    for spec in specs:
        there, asked = known.topics.get(spec.name), KnownTopic.of(spec)
        if there is None:
            changes.append(Change("create", f"topic {spec.name} ({_partitions(spec.partitions)})"))
        elif there.partitions != spec.partitions:
            raise _other_partitions(spec, there.partitions)
        elif there != asked:
            told = [
                f"{what} {before} -> {after}"
                for what, before, after in (
                    ("retention", f"{there.retention_seconds:g} s", f"{asked.retention_seconds:g} s"),
                    ("ordered", there.ordered, asked.ordered),
                )
                if before != after
            ]
            changes.append(Change("change", f"topic {spec.name}: {', '.join(told)}"))
    return changes


def _group_changes(known: _Known, topology: Topology) -> list[Change]:
    names = {spec.name for spec in topology.topics} | set(known.topics)
    changes: list[Change] = []
    for spec in topology.groups:
        if spec.name not in known.groups:
            changes.append(Change("create", f"group {spec.name}"))
        for name in spec.topics:
            if name not in names:
                raise UserMistake(f"group {spec.name} reads {name}, which is no topic of the topology")
            if name not in known.groups.get(spec.name, ()):
                changes.append(Change("create", f"group {spec.name} on {name}, from its {spec.start}"))
    return changes


def _create(connection: RedisConnection, topology: Topology) -> None:
    partitions = {spec.name: spec.partitions for spec in topology.topics}
    known = known_topics(connection, topology.prefix)
    partitions |= {name: there.partitions for name, there in known.items()}
    for spec in topology.topics:
        if partitions[spec.name] != spec.partitions:
            raise _other_partitions(spec, partitions[spec.name])
        for partition in range(spec.partitions):
            connection.run(CREATE, [stream_key(spec.name, partition)], ("", ""))
    for group in topology.groups:
        start = "$" if group.start == "end" else "0"
        for name in group.topics:
            for partition in range(partitions[name]):
                connection.run(CREATE, [stream_key(name, partition)], (group.name, start))
    commands: list[Sequence[Word]] = [
        ("HSET", groups_key(topology.prefix), group.name, " ".join(_read(connection, topology, group)))
        for group in topology.groups
    ]
    # Whoever comes second with another number of partitions changes nothing.
    commands += [
        (
            "HSET" if spec.name in known else "HSETNX",
            topics_key(topology.prefix),
            spec.name,
            KnownTopic.of(spec).model_dump_json(),
        )
        for spec in topology.topics
    ]
    if commands:
        connection.calls(commands)


def _read(connection: RedisConnection, topology: Topology, group: GroupSpec) -> list[str]:
    """What the group reads already, and what it is to read."""
    there = connection.call("HGET", groups_key(topology.prefix), group.name)
    read = there.decode().split() if there is not None else []
    return [*read, *(name for name in group.topics if name not in read)]


def _other_partitions(spec: TopicSpec, there: int) -> UserMistake:
    return UserMistake(
        f"topic {spec.name} has {_partitions(there)}, the settings ask for {spec.partitions}: keys would change "
        f"places, so the number is fixed; set `partitions = {there}` for its endpoint"
    )


def _partitions(count: int) -> str:
    return f"{count} partition" if count == 1 else f"{count} partitions"
