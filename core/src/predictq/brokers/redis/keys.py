"""Names of keys. What belongs to one partition of one endpoint shares a hash tag, so that it is in one Cluster slot."""

__all__ = [
    "POOL",
    "groups_key",
    "members_key",
    "prefix_of",
    "pulse_key",
    "settled_key",
    "standby_key",
    "stream_key",
    "topics_key",
]

POOL = "-"
"""The consumer who holds what was given back, for anybody to take."""


def stream_key(topic: str, partition: int) -> str:
    """`{predictq.fraud.3}:requests` of the topic `predictq.fraud.requests`."""
    prefix, endpoint, *rest = topic.split(".", 2)
    return f"{{{prefix}.{endpoint}.{partition}}}:{''.join(rest)}"


def settled_key(stream: str, group: str, member: str) -> str:
    """Where a member's last settlement is remembered, beside the stream."""
    return f"{stream.partition(':')[0]}:settled:{group}:{member}"


def topics_key(prefix: str) -> str:
    """Hash of the topics under the prefix."""
    return f"{{{prefix}}}:topics"


def groups_key(prefix: str) -> str:
    """Hash of the groups under the prefix."""
    return f"{{{prefix}}}:groups"


def members_key(group: str) -> str:
    """Sorted set of a group's members, by the end of their claims."""
    return f"{{{group}}}:members"


def pulse_key(group: str) -> str:
    """Hash of when the group's members gave their last sign of life, and since when without a gap."""
    return f"{{{group}}}:pulse"


def standby_key(group: str) -> str:
    """A stream that is never written."""
    return f"{{{group}}}:standby"


def prefix_of(name: str) -> str:
    """The prefix of a topic or a group."""
    return name.partition(".")[0]
