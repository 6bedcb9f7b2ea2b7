"""The command behind `make services`, `make services-down`, `make demo BROKER=…` and, in CI, `make test`."""

import sys

from tests.servers.installing import CannotInstall, install_missing
from tests.servers.lending import CannotLend, run_with
from tests.servers.local_server import ServerFailed
from tests.servers.programs import missing_programs
from tests.servers.services import SERVICES_FILE, start_services, stop_services

_USAGE = "usage: python -m tests.servers install | start | stop | lend BROKER DATABASE COMMAND…"


def main(arguments: list[str]) -> int:
    match arguments:
        case ["install"]:
            return _install()
        case ["start"]:
            return _start()
        case ["stop"]:
            return _stop()
        case ["lend", broker, database, *command] if command:
            return _lend(broker, database, command)
        case _:
            return _refuse(_USAGE)


def _install() -> int:
    try:
        installed = install_missing(programs=missing_programs())
    except (CannotInstall, OSError) as problem:
        return _refuse(f"error: {problem}")
    if installed:
        sys.stdout.write(f"installed: {', '.join(installed)}\n")
    return 0


def _start() -> int:
    try:
        urls = start_services()
    except ServerFailed as problem:
        return _refuse(f"error: {problem}")
    sys.stdout.write("".join(f"{name:<10} {url}\n" for name, url in urls.items()))
    sys.stdout.write(f"written to {SERVICES_FILE.name}; `make services-down` ends them\n")
    return 0


def _stop() -> int:
    names = stop_services()
    sys.stdout.write(f"ended: {', '.join(names)}\n" if names else "nothing to end\n")
    return 0


def _lend(broker: str, database: str, command: list[str]) -> int:
    try:
        return run_with(broker, database, command)
    except (CannotLend, CannotInstall, ServerFailed, OSError) as problem:
        return _refuse(f"error: {problem}")


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
