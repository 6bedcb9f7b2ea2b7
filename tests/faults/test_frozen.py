"""Processes that stand still for longer than their claims last, and then go on as if nothing had been."""

import os
import random
import signal
import time

import pytest
from tests.conftest import Installation
from tests.faults.conftest import MODELS, Count, Load, configure

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

COMMANDS = (("worker", "sum"), ("worker", "sum"), ("sync",), ("sync",))
FROZEN_SECONDS = 2.5
"""The claims of these settings last one second."""
ROUNDS = 8


def test_what_others_took_over_is_not_answered_twice(installation: Installation) -> None:
    configure(installation, models=MODELS.replace("0.005", "0.1"))
    seed = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"FAULTS_SEED={seed}")
    random_ = random.Random(seed)
    processes = installation.started(("gateway",), *COMMANDS)
    load = Load(installation)

    with load.running():
        for _ in range(ROUNDS):
            load.until_accepted(random_.randrange(20))
            victim = random_.choice(processes[1:])
            victim.signal(signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)  # this long is what the test is about
            victim.signal(signal.SIGCONT)

    count = Count(installation, load)
    count.check()
    count.check_announced()
    assert [process.stop() for process in processes] == [0] * len(processes)
    assert any("lost to another member" in process.log for process in processes), "nobody was frozen with work in hand"
