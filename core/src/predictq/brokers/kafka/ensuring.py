"""Making the topics and groups of a cluster those of a topology."""

from collections.abc import Iterable, Mapping

from predictq.brokers.kafka.delayed import STEPS
from predictq.brokers.kafka.driver import Admin, Committed, Place, Rebalancing, TopicConfig
from predictq.brokers.kafka.options import RECORD_OVERHEAD_BYTES, Options
from predictq.brokers.kafka.topics import delays_of, is_internal, is_retries
from predictq.brokers.port import Change
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology

__all__ = ["Ensuring"]

_RETENTION = "retention.ms"
_LARGEST = "max.message.bytes"
_FOR_EVER = 2**63 - 1


class Ensuring:
    """One run of it."""

    def __init__(self, admin: Admin, options: Options, *, dry_run: bool) -> None:
        self._admin = admin
        self._options = options
        self._dry_run = dry_run
        self._known = dict(admin.topics())

    def topics(self, specs: Iterable[TopicSpec]) -> list[Change]:
        """Create what is missing. Raises UserMistake where a topic has another number of partitions."""
        specs = list(specs)
        there = [spec.name for spec in specs if spec.name in self._known]
        there += [delays_of(name) for name in there if is_retries(name) and delays_of(name) in self._known]
        found = self._admin.describe(there, [_RETENTION, _LARGEST])
        changes: list[Change] = []
        for spec in specs:
            changes += self._topic(spec, found)
            if is_retries(spec.name):
                # Nobody outside of the adapter knows this one.
                self._topic(TopicSpec(delays_of(spec.name), len(STEPS), 0.0, spec.unsettled_seconds), found)
        return changes

    def groups(self, specs: Iterable[GroupSpec]) -> list[Change]:
        """Create what is missing, at the topic's end unless the spec says otherwise."""
        changes: list[Change] = []
        for spec in specs:
            changes += self._group(spec)
        return changes

    def prune(self, topology: Topology) -> list[Change]:
        """Delete topics and groups that are under the topology's prefix and not in it."""
        under = f"{topology.prefix}."
        wanted = {spec.name for spec in topology.topics}
        groups = {spec.name: set(spec.topics) for spec in topology.groups}
        changes: list[Change] = []
        for group in sorted(self._admin.groups()):
            if group.startswith(under):
                changes += self._prune_group(group, groups.get(group))
        gone = sorted(topic for topic in self._known if topic.startswith(under) and _owner(topic) not in wanted)
        changes += [Change("delete", f"topic {topic}") for topic in gone if not is_internal(topic)]
        if not self._dry_run:
            self._admin.delete_topics(gone)
        return changes

    def _topic(self, spec: TopicSpec, found: Mapping[str, Mapping[str, str]]) -> list[Change]:
        partitions = self._known.get(spec.name)
        values = {_RETENTION: str(min(round(spec.unsettled_seconds * 1000), _FOR_EVER))}
        needed = self._options.message_max_bytes + RECORD_OVERHEAD_BYTES
        if partitions is None:
            if needed > _default_limit():
                values[_LARGEST] = str(needed)
            config = TopicConfig(spec.partitions, values)
            created = self._dry_run or self._admin.create(spec.name, config, self._options.replication_factor)
            self._known[spec.name] = spec.partitions
            return [Change("create", f"topic {spec.name} ({_partitions(spec.partitions)})")] if created else []
        if partitions != spec.partitions:
            raise UserMistake(
                f"topic {spec.name} has {_partitions(partitions)}, the settings ask for {spec.partitions}: keys would "
                f"change places, so the number is fixed; set `partitions = {partitions}` for its endpoint"
            )
        now = found.get(spec.name, {})
        if int(now.get(_LARGEST, needed)) < needed:
            values[_LARGEST] = str(needed)
        changed = {key: value for key, value in values.items() if now.get(key) != value}
        if changed and not self._dry_run:
            self._admin.alter(spec.name, changed)
        told = ", ".join(f"{key} {now.get(key)} -> {value}" for key, value in changed.items())
        return [Change("change", f"topic {spec.name}: {told}")] if changed else []

    def _group(self, spec: GroupSpec) -> list[Change]:
        # The ends are asked for before what the group has: if two do this at once, neither can put the group
        # behind anything that was published after the other had finished.
        reads = [*spec.topics, *(delays_of(topic) for topic in spec.topics if is_retries(topic))]
        for topic in reads:
            if topic not in self._known:
                raise UserMistake(f"group {spec.name} reads {topic}, which is no topic of the topology")
        places = [Place(topic, i) for topic in reads for i in range(self._known[topic])]
        starts = {} if self._dry_run else self._starts(spec, places)
        committed = self._admin.committed(spec.name)
        missing = [place for place in places if place not in committed]
        if missing and not self._dry_run:
            try:
                self._admin.commit(spec.name, {place: Committed(starts[place], "") for place in missing})
            except Rebalancing:
                raise UserMistake(
                    f"group {spec.name} is to read {missing[0].topic} too, which Kafka allows only while the group has "
                    "no members; stop them and run `predictq topics ensure` again"
                ) from None
        new = list(dict.fromkeys(place.topic for place in missing if not is_internal(place.topic)))
        changes = [Change("create", f"group {spec.name}")] if not committed and new else []
        return changes + [Change("create", f"group {spec.name} on {topic}, from its {spec.start}") for topic in new]

    def _starts(self, spec: GroupSpec, places: list[Place]) -> Mapping[Place, int]:
        return self._admin.starts(places) if spec.start == "beginning" else self._admin.ends(places)

    def _prune_group(self, group: str, topics: set[str] | None) -> list[Change]:
        if topics is None:
            if not self._dry_run:
                self._admin.delete_groups([group])
            return [Change("delete", f"group {group}")]
        gone = [place for place in self._admin.committed(group) if _owner(place.topic) not in topics]
        if gone and not self._dry_run:
            self._admin.delete_offsets(group, gone)
        names = sorted({place.topic for place in gone if not is_internal(place.topic)})
        return [Change("delete", f"group {group} on {name}") for name in names]


def _default_limit() -> int:
    return 1_048_588


def _owner(topic: str) -> str:
    """The topic of the topology for which a topic is there."""
    return topic.removesuffix(delays_of("")) if is_internal(topic) else topic


def _partitions(count: int) -> str:
    return f"{count} partition" if count == 1 else f"{count} partitions"
