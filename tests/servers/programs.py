"""Programs of this machine that some tests need beside the servers: to build the page, a browser, other languages."""

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["PROGRAMS", "missing_programs", "program"]

PROGRAMS = {"node": "nodejs", "npm": "npm", "chromium": "chromium", "javac": "default-jdk-headless"}
"""By name, Debian's package that brings it."""


def missing_programs() -> list[str]:
    """Debian's packages of those that are not there."""
    return sorted(package for name, package in PROGRAMS.items() if shutil.which(name) is None)


def program(name: str) -> str:
    """The path of a program. Skips the test where there is none, and fails it with CI=true."""
    return shutil.which(name) or _without(name)


def _without(name: str) -> NoReturn:
    message = f"{name} is not installed; on Debian and Ubuntu: apt-get install {PROGRAMS[name]}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
