"""Find a server for the tests: from outside, from `make services`, in a container, or on this machine."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import pytest
from tests.servers.asking import answers
from tests.servers.containers import engine_runs, start_container
from tests.servers.local_server import LocalServer
from tests.servers.names import SERVER_NAMES, ServerName, variable_of
from tests.servers.services import read_services
from tests.servers.starting import LOCAL_SERVERS, new_folder

_Local = TypeVar("_Local", bound=LocalServer)


Shared = dict[ServerName, tuple[str, str]]
"""URLs of servers, and how they were found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    url: str
    way: str
    """How it was found, for people."""


def url_of(name: ServerName) -> str:
    """The URL of a server that the whole session shares: use names of your own on it, and leave it running.

    Skips the test where there is none, and fails it with CI=true.
    """
    if name not in _found:
        found = find(name, environment=os.environ, services=read_services(), session=_session)
        if found is None:
            _without(name)
        _found[name] = found
    return _found[name].url


def find(
    name: ServerName, *, environment: Mapping[str, str], services: Mapping[str, str], session: ExitStack
) -> Found | None:
    """The first there is of four ways; what it starts ends with `session`."""
    if url := environment.get(variable_of(name)):
        return Found(url=url, way=variable_of(name))
    url = services.get(variable_of(name))
    if url and answers(url):
        return Found(url=url, way="make services")
    if engine_runs():
        url, stop = start_container(name)
        session.callback(stop)
        return Found(url=url, way="container")
    if LOCAL_SERVERS[name].is_installed():
        return Found(url=_started(LOCAL_SERVERS[name], None, session).url, way="local process")
    return None


@contextmanager
def private_server(server: type[_Local], settings: Mapping[str, str] | None = None) -> Iterator[_Local]:
    """A server that runs on this machine for one test, which may stop, kill and start it.

    Skips the test where it is not installed, and fails it with CI=true.
    """
    if not server.is_installed():
        _without(server.name)
    with ExitStack() as stack:
        yield _started(server, settings, stack)


def share() -> Shared:
    """All servers there are, found or started side by side, for the workers of this run; they end with this process."""

    def look(name: ServerName) -> Found | None:
        return find(name, environment=os.environ, services=read_services(), session=_session)

    wanted = [name for name in SERVER_NAMES if name not in _found and name not in _missed]
    with ThreadPoolExecutor() as threads:
        for name, found in zip(wanted, threads.map(look, wanted), strict=True):
            if found is None:
                _missed.append(name)
            else:
                _found[name] = found
    return {name: (found.url, found.way) for name, found in _found.items()}


def take(shared: Shared) -> None:
    """Use what another process has found."""
    _found.update({name: Found(url=url, way=way) for name, (url, way) in shared.items()})


def used() -> str:
    """The servers that were asked for and found, in one line; empty when none was."""
    ways: dict[str, list[str]] = {}
    for name, found in _found.items():
        ways.setdefault(found.way, []).append(name)
    return "; ".join(f"{', '.join(names)}: {way}" for way, names in ways.items())


def not_found() -> str:
    """The servers that were asked for in vain and how to get them, in one line; empty when none was."""
    return f"{', '.join(_missed)}: not found, so their tests did not run; {_cure(_missed)}" if _missed else ""


def end_servers() -> None:
    """End what was started for the session."""
    _session.close()


_found: dict[ServerName, Found] = {}
_missed: list[ServerName] = []
_session = ExitStack()


def _started(server: type[_Local], settings: Mapping[str, str] | None, stack: ExitStack) -> _Local:
    folder = new_folder()
    stack.callback(shutil.rmtree, folder)
    one = server(folder / server.name, settings)
    stack.callback(one.kill)
    one.start()
    return one


def _without(name: ServerName) -> NoReturn:
    if name not in _missed:
        _missed.append(name)
    reason = f"no server for {name}; {_cure([name])}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _cure(names: Iterable[ServerName]) -> str:
    return f"`make services` installs and starts all, or set {', '.join(map(variable_of, names))}"
