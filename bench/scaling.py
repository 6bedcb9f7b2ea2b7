"""Two worker processes against one on the same backlog: a linear model, where the broker is the limit, and a forest."""

from contextlib import closing
from dataclasses import replace

from arena import StageOutputs
from asked import BROKERS, Asked
from attempt import attempt, say
from command import Crew
from drain import watch
from figures import Figure, ratio_of
from servers import serving
from stage import staged
from traffic import DEPLOYMENT, Workload
from workload import prepare, prepare_forest

__all__ = ["measure"]

MESSAGES = 100_000
COUNTS = {"linear": 100_000, "forest": 20_000}
DEADLINE_SECONDS = 120.0


def measure(asked: Asked) -> list[Figure]:
    """Per broker and model: one worker, two workers, one, two …"""
    linear = prepare(asked.folder, MESSAGES)
    models = {"linear": linear, "forest": replace(linear, model=prepare_forest(asked.folder))}
    figures: list[Figure] = []
    with serving(asked.brokers or BROKERS, asked) as urls:
        for broker, url in urls.items():
            for name, workload in models.items():
                count = COUNTS[name] // (5 if asked.quick else 1)
                figures += _compare(f"{broker}, {name}", url, replace(workload, count=count), asked)
    return figures


def _compare(what: str, url: str, workload: Workload, asked: Asked) -> list[Figure]:
    taken: list[tuple[float, float]] = []
    for _ in range(asked.rounds):
        with attempt(what):
            taken.append((_drain(url, workload, asked, 1), _drain(url, workload, asked, 2)))
            say(f"{what}: one worker {taken[-1][0]:,.0f}/s, two {taken[-1][1]:,.0f}/s")
    if not taken:
        return []
    alone, together = zip(*taken, strict=True)
    one = Figure(name=f"{what}: one worker", unit="requests/s", rounds=alone)
    two = Figure(name=f"{what}: two workers", unit="requests/s", rounds=together)
    return [one, two, ratio_of(f"{what}: two to one", two, one)]


def _drain(url: str, workload: Workload, asked: Asked, workers: int) -> float:
    with (
        staged(asked.folder, workload, broker=url, audited=False) as stage,
        closing(StageOutputs(stage)) as outputs,
    ):
        stage.publish(workload.messages, workload.count)
        crew = Crew(stage.start_all(*[("worker", DEPLOYMENT)] * workers))
        return watch(outputs, crew, workload.count, deadline_seconds=DEADLINE_SECONDS).rate
