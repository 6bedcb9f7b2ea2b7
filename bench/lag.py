"""What it costs to ask how far a group is behind: by `topics lag`, every gateway, and the ledger twice a second.

A group reads the requests and the bulk of some endpoints, as the ledger does. One question about all topics at once,
beside one question for each; first with nothing left to read, then with something on every topic.
"""

import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from uuid import uuid4

from asked import BROKERS, Asked
from attempt import attempt, say
from figures import Figure
from predictq.brokers import Admin, Message, open_broker
from predictq.settings import DeploymentSettings, EndpointSettings, Settings
from predictq.topology import Topology, topology_of
from servers import SQLITE_BROKER, serving

__all__ = ["measure"]

ENDPOINTS = 4
TIMES = 20
PARTITIONS = 4


def measure(asked: Asked) -> list[Figure]:
    """Milliseconds, medians of some questions."""
    figures: list[Figure] = []
    with serving(asked.brokers or BROKERS, asked) as urls:
        for broker, url in urls.items():
            own = f"sqlite:///{asked.folder}/lag.db" if url == SQLITE_BROKER else url
            rounds: list[dict[str, float]] = []
            for _ in range(asked.rounds):
                with attempt(broker):
                    rounds.append(_round(own))
                    say(f"{broker}: {rounds[-1]}")
            figures += [
                Figure(name=f"{broker}: {what}", unit="ms", rounds=tuple(each[what] for each in rounds), better="less")
                for what in (rounds[0] if rounds else {})
            ]
    return figures


def _round(url: str) -> dict[str, float]:
    prefix = f"lag{uuid4().hex[:8]}"
    settings = Settings(
        broker=url,
        prefix=prefix,
        endpoints={f"e{n}": EndpointSettings(partitions=PARTITIONS) for n in range(ENDPOINTS)},
        deployments={f"d{n}": DeploymentSettings(endpoint=f"e{n}", model="models:Sum") for n in range(ENDPOINTS)},
    )
    topics = [f"{prefix}.e{n}.{kind}" for n in range(ENDPOINTS) for kind in ("requests", "bulk")]
    group = f"{prefix}.sync.ledger"
    with closing(open_broker(url)) as broker, closing(broker.admin()) as admin:
        admin.ensure(topology_of(settings))
        idle = _asked(admin, topics, group)
        with closing(broker.producer()) as producer:
            producer.publish([Message(topic, b"{}", b"%d" % key) for topic in topics for key in range(16)])
        waiting = _asked(admin, topics, group)
        admin.ensure(Topology(prefix, (), ()), prune=True)
    return {
        "nothing waits, all at once": idle[0],
        "nothing waits, topic by topic": idle[1],
        "something waits, all at once": waiting[0],
        "something waits, topic by topic": waiting[1],
    }


def _asked(admin: Admin, topics: list[str], group: str) -> tuple[float, float]:
    return (
        _milliseconds(lambda: admin.lags(topics, group)),
        _milliseconds(lambda: [admin.lag(topic, group) for topic in topics]),
    )


def _milliseconds(question: Callable[[], object]) -> float:
    question()
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        question()
        taken.append((time.perf_counter() - started) * 1e3)
    return median(taken)
