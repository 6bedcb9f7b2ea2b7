"""What is not installed is installed where that is allowed, and named where it is not."""

import os
from pathlib import Path

import pytest
from tests.servers import installing
from tests.servers.installing import CannotInstall, install_missing
from tests.servers.programs import missing_programs


def test_without_root_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotInstall, match=r"apt-get install default-jre-headless .*redis-server"):
        install_missing()
    with pytest.raises(CannotInstall, match=r"apt-get install chromium default-jdk-headless nodejs npm$"):
        install_missing([], programs=missing_programs())


def test_packages_are_kept_from_starting_servers_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    seen = tmp_path / "seen"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\n{policy} >/dev/null; echo "$1 $?" >> {seen}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(installing, "_POLICY", policy)
    installing._install(["redis-server"])
    assert seen.read_text() == "update 101\ninstall 101\n"
    assert not policy.exists()
