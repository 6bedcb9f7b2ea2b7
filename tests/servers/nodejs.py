"""Node.js, for tests of what JavaScript reads: programs are found, packages installed as a lock file says."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["install_packages", "missing_packages"]

_PROGRAMS = {"node": "nodejs", "npm": "npm"}
"""And Debian's names of the packages that hold them."""


def missing_packages() -> list[str]:
    """Debian's names of what this machine lacks."""
    return [package for program, package in _PROGRAMS.items() if not shutil.which(program)]


def install_packages(source: Path, folder: Path) -> None:
    """`npm ci` of the lock file in `source` into `folder`. Without Node.js a test is skipped; with CI=true it fails."""
    if missing := missing_packages():
        reason = f"Node.js: not installed: {', '.join(missing)} (names of Debian's packages)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / name, folder)
    # Scripts of packages are no part of what is tested here.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
