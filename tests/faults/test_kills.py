"""SIGKILL at random, under load: nothing is lost and nothing doubled, whichever process is killed when."""

import os
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conftest import Installation, Process, eventually
from tests.faults.conftest import Count, Load, installed_on
from tests.places import SERVER_BROKERS, ServerBroker

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

KILLS = 20
COMMANDS = {"worker": ("worker", "sum"), "sync": ("sync",), "gateway": ("gateway",), "ingest": ("ingest",)}
SIDE_BY_SIDE = {"worker": 2, "sync": 2, "gateway": 1}


class Crew:
    """Processes of each kind; one that is killed is replaced at once."""

    def __init__(self, installation: Installation, side_by_side: Mapping[str, int] = SIDE_BY_SIDE) -> None:
        self._installation = installation
        self._members = {
            kind: [installation.start(*COMMANDS[kind]) for _ in range(count)] for kind, count in side_by_side.items()
        }
        self.until_ready()

    def until_ready(self) -> None:
        for members in self._members.values():
            for process in members:
                process.until_ready()

    def kill_one(self, kind: str, random_: random.Random) -> None:
        """Kill one that serves; it need not be idle, and probably is not."""

        def serving() -> list[Process]:
            dead = [process for process in self._members[kind] if process.ended()]
            assert dead == [], f"{dead[0].name} ended by itself:\n{dead[0].log}"
            return [process for process in self._members[kind] if process.ready()]

        eventually(serving, self._installation.logs)
        victim = random_.choice(serving())
        victim.kill()
        self._members[kind].remove(victim)
        self._members[kind].append(self._installation.start(*COMMANDS[kind]))

    def stop(self) -> None:
        for members in self._members.values():
            for process in members:
                assert process.stop() == 0, process.log


def dice() -> random.Random:
    seed = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"FAULTS_SEED={seed}")
    return random.Random(seed)


def test_sixty_kills_lose_and_double_nothing(configured: Installation) -> None:
    random_ = dice()
    order = [kind for kind in SIDE_BY_SIDE for _ in range(KILLS)]
    random_.shuffle(order)
    crew = Crew(configured)
    load = Load(configured)

    with load.running(pause_seconds=0.1):
        for kind in order:
            load.until_accepted(random_.randrange(40))
            crew.kill_one(kind, random_)
    crew.until_ready()

    count = Count(configured, load)
    count.check()
    count.check_announced()
    twice = sum(times > 1 for times in count.announced.values())
    isolated = len(count.copies)
    print(f"{len(count.requests)} requests, {twice} announced again, {isolated} isolated, refusals {load.refusals}")
    crew.stop()


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_twenty_kills_on_a_server_lose_nothing_and_double_no_row(broker: ServerBroker, tmp_path: Path) -> None:
    random_ = dice()
    order = ["worker", "sync"] * (KILLS // 2)
    random_.shuffle(order)
    with installed_on(broker, tmp_path) as installation:
        crew = Crew(installation)
        load = Load(installation)
        with load.running(pause_seconds=0.1):
            for kind in order:
                load.until_accepted(random_.randrange(40))
                crew.kill_one(kind, random_)
        crew.until_ready()
        count = Count(installation, load)
        count.check()
        repeated = sum(count.predictions.values()) - len(count.predictions)
        print(f"{len(count.requests)} requests, {repeated} predictions repeated on the topic")
        crew.stop()
