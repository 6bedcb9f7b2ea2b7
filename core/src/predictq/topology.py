"""The topics and groups that the settings ask for."""

from dataclasses import dataclass
from typing import Literal

from predictq.names import Names
from predictq.settings import Settings

__all__ = ["GroupSpec", "TopicSpec", "Topology", "topology_of"]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic and how long it keeps its messages."""

    name: str
    partitions: int
    retention_seconds: float
    """Of what all its groups have settled."""
    unsettled_seconds: float = 7 * 86_400.0
    """Of everything, on brokers that delete by age and cannot see what is settled."""
    ordered: bool = False
    """Messages of one key are handled in order, also on brokers that do not keep order by themselves."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group, the topics it reads, and where it starts when it is new."""

    name: str
    topics: tuple[str, ...]
    start: Literal["end", "beginning"] = "end"
    single: bool = False
    """One member at a time gets everything, so that it sees each topic in the order of publishing."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that must exist before anything is published."""

    prefix: str
    topics: tuple[TopicSpec, ...]
    groups: tuple[GroupSpec, ...]


def topology_of(settings: Settings) -> Topology:
    """Topics and groups of all endpoints and deployments of the settings."""
    names = Names(settings.prefix)
    kept = (settings.retention.topics_seconds, settings.retention.unsettled_seconds)
    topics: list[TopicSpec] = [TopicSpec(name, 1, *kept) for name in (names.commits, names.cancels)]
    groups: list[GroupSpec] = []
    ledger: list[str] = []
    store: list[str] = []
    dead: list[str] = []
    intake: list[str] = []
    jobs: list[str] = []
    for endpoint, spec in settings.endpoints.items():
        owned = [names.requests(endpoint), names.bulk(endpoint)]
        emitted = [names.predictions(endpoint), names.shadow_predictions(endpoint)]
        topics += [TopicSpec(name, spec.partitions, *kept, spec.ordered) for name in owned]
        topics += [
            TopicSpec(name, spec.partitions, *kept) for name in (*emitted, names.intake(endpoint), names.jobs(endpoint))
        ]
        topics.append(TopicSpec(names.dead_letters(endpoint), 1, *kept))
        ledger += [*owned, names.jobs(endpoint)]
        store += emitted
        dead.append(names.dead_letters(endpoint))
        intake.append(names.intake(endpoint))
        jobs.append(names.jobs(endpoint))
    for name, deployment in settings.deployments.items():
        endpoint = deployment.endpoint
        retries = names.retries(endpoint, name)
        topics.append(TopicSpec(retries, settings.endpoints[endpoint].partitions, *kept))
        read = (retries, names.requests(endpoint), names.bulk(endpoint))
        groups.append(GroupSpec(names.workers(endpoint, name), read, deployment.start))
    groups += [
        GroupSpec(names.ledger_group, tuple(ledger), single=True),
        GroupSpec(names.store_group, tuple(store)),
        GroupSpec(names.dead_letters_group, tuple(dead)),
        GroupSpec(names.intake_group, tuple(intake)),
        GroupSpec(names.planner_group, tuple(jobs)),
        GroupSpec(names.cutter_group, tuple(jobs)),
    ]
    return Topology(settings.prefix, tuple(topics), tuple(groups))
