"""SIGTERM under load: whoever is told to stop finishes what it has in hand and exits with 0."""

import pytest
from tests.conftest import Installation, Process
from tests.faults.conftest import Count, Load

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

COMMANDS = (("worker", "sum"), ("worker", "sum"), ("sync",), ("sync",), ("gateway",))


def test_a_rolling_restart_loses_and_doubles_nothing(configured: Installation) -> None:
    processes = configured.started(*COMMANDS)
    load = Load(configured)

    with load.running():
        replaced: list[Process] = []
        for process, command in zip(processes, COMMANDS, strict=True):
            load.until_accepted(30)
            assert process.stop() == 0, process.log
            replaced += configured.started(command)
        load.until_accepted(30)

    count = Count(configured, load)
    count.check()
    count.check_announced_once()
    assert count.copies == [], "nobody was taken for a poisoner"
    assert set(load.refusals) <= {0}, "but for connections to a gateway that is gone nobody was refused"
    assert [process.stop() for process in replaced] == [0] * len(COMMANDS)
