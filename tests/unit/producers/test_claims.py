"""Taking files and putting them away: each by one alone, and over no other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.beside import running

from predictq_producers.watching.arrivals import FileState, state_of
from predictq_producers.watching.claims import Claim, left_behind, take
from predictq_producers.watching.putting import other_name, put

JOB_ID = "1a2b3c4d-0000-8000-8000-000000000000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n")
    return file


def seen(file: Path) -> FileState:
    return state_of(file.lstat())


def test_of_many_that_want_a_file_one_gets_it(file: Path, tmp_path: Path) -> None:
    state = seen(file)
    with running(*(lambda i=i: take(file, state, tmp_path / "w" / str(i)) for i in range(8))) as results:
        pass

    claims = [claim for result in results if (claim := result.result()) is not None]
    assert len(claims) == 1
    assert claims[0].file.read_text() == "a,b\n1,2\n"
    assert not file.exists()
    claims[0].close()


def test_a_file_that_is_not_as_it_was_seen_stays(file: Path, tmp_path: Path) -> None:
    state = seen(file)
    with file.open("a") as stream:
        stream.write("3,4\n")

    assert take(file, state, tmp_path / "w" / "1") is None
    assert file.exists()


def test_what_is_in_hand_is_not_left_behind_and_what_was_of_a_process_that_died_is(file: Path, tmp_path: Path) -> None:
    claim = take(file, seen(file), tmp_path / "w" / "1")
    assert claim is not None
    assert list(left_behind(tmp_path / "w", "*")) == []
    claim.close()
    program = (
        "import os, sys, pathlib\n"
        "from predictq_producers.watching.claims import left_behind\n"
        "[claim] = left_behind(pathlib.Path(sys.argv[1]), '*')\n"
        "print(claim.file.name, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path / "w")], capture_output=True, check=False)
    assert died.stdout == b"rows.csv\n"

    found: list[Claim] = list(left_behind(tmp_path / "w", "*.csv"))

    assert [each.file for each in found] == [tmp_path / "w" / "1" / "rows.csv"]
    assert list(left_behind(tmp_path / "w", "*.json")) == []
    for each in found:
        each.close()


def test_a_claim_knows_when_somebody_writes_on(file: Path, tmp_path: Path) -> None:
    with file.open("a") as stream:
        claim = take(file, seen(file), tmp_path / "w" / "1")
        assert claim is not None
        assert claim.is_unchanged()
        stream.write("3,4\n")
        stream.flush()
        assert not claim.is_unchanged()
        claim.close()


def test_nothing_is_put_over_another_file(file: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    names = ("rows.csv", other_name("rows.csv", JOB_ID))
    assert put(file, done, names) == done / "rows.csv"
    file.write_text("second")
    assert put(file, done, names) == done / "rows-1a2b3c4d.csv"
    file.write_text("third")
    with pytest.raises(FileExistsError):
        put(file, done, names)

    assert [each.read_text() for each in sorted(done.iterdir())] == ["second", "a,b\n1,2\n"]
    assert file.read_text() == "third"


def test_a_move_that_was_cut_off_is_ended(file: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    os.link(file, done / "rows.csv")  # and then the process died

    assert put(file, done, ("rows.csv", "rows-1.csv")) == done / "rows.csv"
    assert not file.exists()
    assert [each.name for each in done.iterdir()] == ["rows.csv"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system here")
def test_a_folder_on_another_disk_will_do(file: Path, tmp_path: Path) -> None:
    shm = Path("/dev/shm") / f"predictq-{os.getpid()}"
    shm.mkdir()
    if shm.stat().st_dev == file.stat().st_dev:
        shm.rmdir()
        pytest.skip("it is the same file system")
    try:
        assert put(file, shm, ("rows.csv", "rows-1.csv")) == shm / "rows.csv"
        assert [each.name for each in shm.iterdir()] == ["rows.csv"]
        assert not file.exists()
    finally:
        for each in shm.iterdir():
            each.unlink()
        shm.rmdir()


@pytest.mark.parametrize(
    ("name", "other"),
    [("rows.csv", "rows-1a2b3c4d.csv"), ("rows.csv.gz", "rows-1a2b3c4d.csv.gz"), ("rows", "rows-1a2b3c4d")],
)
def test_the_other_name_keeps_the_ending(name: str, other: str) -> None:
    assert other_name(name, JOB_ID) == other
