"""Packages of Node.js, for tests of what JavaScript reads: installed as a lock file says."""

import shutil
import subprocess
from pathlib import Path

from tests.servers.programs import program

__all__ = ["install_packages"]


def install_packages(source: Path, folder: Path) -> None:
    """`npm ci` of the lock file in `source` into `folder`. Without npm a test is skipped; with CI=true it fails."""
    program("node")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / name, folder)
    # Scripts of packages are no part of what is tested here.
    command = [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
