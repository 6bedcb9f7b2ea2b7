"""Which member of a group reads which partition: every topic is shared out evenly by itself.

The usual sticky way balances the sum over all topics, so that a member may end with all requests and another with all
retries. This one is as sticky: a member keeps what it has up to its share. A partition that changes hands is nobody's
for one round, until its owner has let go (https://cwiki.apache.org/confluence/x/vAclBg).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from predictq.brokers.kafka.driver import Place

__all__ = ["Claim", "shared_out"]


class Claim(NamedTuple):
    """What a member reads, and what it holds."""

    topics: frozenset[str]
    holds: frozenset[Place]


def shared_out(members: Mapping[str, Claim], partitions: Mapping[str, int]) -> dict[str, list[Place]]:
    """What each member shall hold in this round."""
    owners: dict[Place, list[str]] = {}
    for member, claim in members.items():
        for place in claim.holds:
            owners.setdefault(place, []).append(member)
    shares: dict[str, list[Place]] = {member: [] for member in members}
    for topic in sorted(partitions):
        readers = sorted(member for member, claim in members.items() if topic in claim.topics)
        if readers:
            places = [Place(topic, i) for i in range(partitions[topic])]
            totals = {member: len(shares[member]) for member in readers}
            for member, wanted in _share_topic(places, readers, totals, owners).items():
                shares[member] += wanted
    return {
        member: [place for place in wanted if owners.get(place, [member]) == [member]]
        for member, wanted in shares.items()
    }


def _share_topic(
    places: Sequence[Place], readers: Sequence[str], totals: Mapping[str, int], owners: Mapping[Place, Sequence[str]]
) -> dict[str, list[Place]]:
    whole, rest = divmod(len(places), len(readers))
    held = {member: [place for place in places if member in owners.get(place, ())] for member in readers}
    # One more than the others is for who has least of other topics, then for who has it already.
    ranked = sorted(readers, key=lambda member: (totals[member], -len(held[member]), member))
    quota = {member: whole + (i < rest) for i, member in enumerate(ranked)}
    share: dict[str, list[Place]] = {member: [] for member in readers}
    taken: set[Place] = set()
    for member in ranked:
        kept = [place for place in held[member] if place not in taken][: quota[member]]
        share[member] += kept
        taken.update(kept)
    free = [place for place in places if place not in taken]
    for member in ranked:
        missing = quota[member] - len(share[member])
        share[member] += free[:missing]
        del free[:missing]
    return share
