"""No server outlives the tests that started it."""

import signal
import sys
from pathlib import Path

from tests.beside import running_process
from tests.conftest import eventually
from tests.servers.asking import answers

ROOT = Path(__file__).parents[3]
STARTING = """
import sys, time
from pathlib import Path
from tests.servers.redis_server import RedisServer

server = RedisServer(Path(sys.argv[1]) / "redis")
server.start()
print(server.url, flush=True)
time.sleep(1000)
"""


def test_a_server_ends_with_who_started_it_even_when_that_is_killed(tmp_path: Path) -> None:
    with running_process([sys.executable, "-c", STARTING, str(tmp_path)], cwd=ROOT) as starting:
        assert starting.stdout is not None
        url = starting.stdout.readline().strip()
        assert answers(url)
        starting.send_signal(signal.SIGKILL)
    eventually(lambda: not answers(url))
