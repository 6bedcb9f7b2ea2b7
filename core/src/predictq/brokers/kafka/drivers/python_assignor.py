"""kafka-python's cooperative assignment with a fairer share."""

from collections.abc import Sequence
from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.sharing import Claim, shared_out

__all__ = ["FairAssignor"]


class FairAssignor(CooperativeStickyAssignor):  # type: ignore[misc] # kafka-python has no types
    """Under a name of its own: a group whose members share out in different ways would come to no end."""

    name = "predictq-even"

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """The leader's part of a rebalance."""
        claims = {}
        for member in members:
            parsed = self.parse_member_metadata(member.metadata)
            held = frozenset(Place(*tp) for tp in parsed.partitions)
            claims[member.member_id] = Claim(frozenset(parsed.subscription), held)
        topics = {topic for claim in claims.values() for topic in claim.topics}
        partitions = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        return {
            member: ConsumerProtocolAssignment(self.version, _by_topic(places), b"")
            for member, places in shared_out(claims, partitions).items()
        }


def _by_topic(places: Sequence[Place]) -> list[tuple[str, list[int]]]:
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(places):
        topics.setdefault(topic, []).append(partition)
    return list(topics.items())
