"""One process empties a backlog on a real broker: the bare loop, predictq's worker and the peers, in turn.

Each answers the same bytes with the same model, and all that it emits is read back and counted. A contender that fails
is told of and left out of the table; the others go on.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from asked import SERVERS, Asked
from attempt import attempt, say
from contenders import CONTESTS, Contender, Contest
from drain import Drained, watch
from figures import Figure, ratio_of
from servers import serving
from workload import prepare

__all__ = ["measure"]

DEADLINE_SECONDS = 90.0
QUICK = 5
MESSAGES = 100_000


def measure(asked: Asked) -> list[Figure]:
    """Rounds of all contenders of a broker, one after the other, then the next broker."""
    contests = [contest for contest in CONTESTS if contest.broker in (asked.brokers or SERVERS)]
    figures: list[Figure] = []
    with serving([contest.broker for contest in contests], asked) as urls:
        for contest in contests:
            figures += _hold(contest, urls[contest.broker], asked)
    return figures


def _hold(contest: Contest, url: str, asked: Asked) -> list[Figure]:
    contenders = (contest.bare, contest.ours, *contest.peers)
    taken: dict[str, dict[int, Drained]] = {contender.name: {} for contender in contenders}
    for number in range(asked.rounds):
        for contender in contenders:
            drained = _try(contest, contender, url, asked)
            if drained is not None:
                taken[contender.name][number] = drained
    return _figures(contest, taken)


def _try(contest: Contest, contender: Contender, url: str, asked: Asked) -> Drained | None:
    what = f"{contest.name}: {contender.name}"
    count = contender.count // QUICK if asked.quick else contender.count
    workload = replace(prepare(asked.folder, MESSAGES), count=count)
    with (
        attempt(what),
        _folder(asked.folder) as folder,
        contender.beside(url),
        contender.prepare(url, folder, workload) as arena,
    ):
        drained = watch(arena.outputs, arena.start(), count, deadline_seconds=DEADLINE_SECONDS)
        say(f"{what}: {drained.rate:,.0f}/s, {drained.cpu_microseconds:.0f} µs")
        return drained
    return None


@contextmanager
def _folder(root: Path) -> Iterator[Path]:
    folder = root / f"contest-{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _figures(contest: Contest, taken: dict[str, dict[int, Drained]]) -> list[Figure]:
    figures = []
    for name, rounds in taken.items():
        if not rounds:
            continue
        what = f"{contest.name}: {name}"
        figures.append(Figure(name=what, unit="requests/s", rounds=tuple(d.rate for d in rounds.values())))
        figures.append(
            Figure(
                name=f"{what}, CPU", unit="µs", rounds=tuple(d.cpu_microseconds for d in rounds.values()), better="less"
            )
        )
        if any(drained.repeated for drained in rounds.values()):
            repeated = tuple(float(drained.repeated) for drained in rounds.values())
            figures.append(Figure(name=f"{what}, repeated", unit="predictions", rounds=repeated, goal=0, better="less"))
    for other in (contest.bare, *contest.peers):
        both = sorted(taken[contest.ours.name].keys() & taken[other.name].keys())
        if both:
            ours, theirs = (
                Figure(name="", unit="", rounds=tuple(taken[name][number].rate for number in both))
                for name in (contest.ours.name, other.name)
            )
            figures.append(ratio_of(f"{contest.name}: predictq to {other.name}", ours, theirs, goal=other.goal))
    return figures
