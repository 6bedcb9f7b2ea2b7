"""Install what the tests need of this machine: Debian's packages, and the jars of Kafka."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.kafka_jars import fetch_jars, jars_are_there
from tests.servers.names import SERVER_NAMES, ServerName
from tests.servers.starting import LOCAL_SERVERS

_POLICY = Path("/usr/sbin/policy-rc.d")


class CannotInstall(Exception):
    """The message says what to install by hand."""


def install_missing(names: Iterable[ServerName] = SERVER_NAMES, *, programs: Iterable[str] = ()) -> list[str]:
    """Make these servers run on this machine; the packages that were installed for it. Raises CannotInstall.

    `programs` are Debian's packages beside them.
    """
    wanted = list(names)
    packages = sorted({*programs, *(package for name in wanted for package in LOCAL_SERVERS[name].packages())})
    if packages:
        _install(packages)
    if "kafka" in wanted and not jars_are_there():
        fetch_jars()
        packages.append("Apache Kafka")
    return packages


def _install(packages: list[str]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotInstall(
            f"not installed: {', '.join(packages)} (names of Debian's packages); "
            f"as root on Debian and Ubuntu: apt-get install {' '.join(packages)}"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_service_starts():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CannotInstall(f"apt-get {command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's packages start a server of their own when they are installed, unless this script forbids it."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
