"""Files that are put into a folder become jobs: each one, once, whatever ends in the middle."""

import csv
import os
import random
import shutil
import signal
import time
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from tests.integration.watching.conftest import Site, rows, site_on
from tests.places import ServerBroker, place_on

KILLS = 20
FILES_A_KILL = 3


def put(site: Site, name: str, text: str) -> Path:
    """As a careful producer does: written under a hidden name, then renamed."""
    hidden = site.incoming / f".{name}"
    hidden.write_text(text)
    return hidden.rename(site.incoming / name)


def test_a_file_becomes_a_job_and_its_results_a_file_named_after_it(running: Site) -> None:
    site = running
    put(site, "early.csv", rows(3))  # it lies there before the watcher starts
    results = site.incoming / "results"
    site.watch("--results", str(results), "--id-column", "id")
    put(site, "late.csv", rows(1200))

    site.until(lambda: site.names("results") == ["early.csv.results.csv", "late.csv.results.csv"])

    assert site.names("done") == ["early.csv", "late.csv"]
    with (results / "late.csv.results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["id"], float(row["prediction"])) for row in found] == [(f"n{i}", i * 3.0) for i in range(1200)]
    with site.installation.client() as http:
        for job in site.jobs():
            body = http.get(f"/v1/jobs/{job['id']}").json()
            assert body["result"]["url"] == (results / f"{body['source']}.results.csv").as_uri()
            assert body["result"]["written_at"] >= body["completed_at"]
            assert body["result"]["error"] is None


def test_two_watchers_on_one_folder_make_one_job_of_each_file(running: Site) -> None:
    site = running
    watchers = [site.watch(), site.watch()]
    names = [f"file-{i:02d}.csv" for i in range(50)]
    for i, name in enumerate(names):
        put(site, name, rows(2, first=i))

    site.until(lambda: site.sources("completed") == names)

    assert len(site.jobs()) == 50
    site.until(lambda: site.names("done") == names)
    assert site.left() == []
    accepted = [watcher.log.count("is accepted as job") for watcher in watchers]
    assert sum(accepted) == 50


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "amqp", "kafka"])
def test_on_a_server_too_two_watchers_make_one_job_of_each_file(broker: ServerBroker, tmp_path: Path) -> None:
    names = [f"file-{i:02d}.csv" for i in range(10)]
    with place_on(broker) as place, site_on(place, tmp_path) as site:
        site.installation.started(("up", "--json"))
        results = site.incoming / "results"
        for _ in range(2):
            site.watch("--results", str(results), "--id-column", "id")
        for i, name in enumerate(names):
            put(site, name, rows(2, first=i))

        site.until(lambda: site.names("results") == [f"{name}.results.csv" for name in names])
        site.until(lambda: site.names("done") == names)

        assert site.sources("completed") == names
        assert len(site.jobs()) == len(names)
        with (results / "file-07.csv.results.csv").open(newline="") as file:
            assert [float(row["prediction"]) for row in csv.DictReader(file)] == [21.0, 24.0]


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_watcher_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing(running: Site) -> None:
    site = running
    dice = random.Random(11)
    names = [f"file-{i:03d}.csv" for i in range(KILLS * FILES_A_KILL)]
    for kill in range(KILLS):
        for i in range(kill * FILES_A_KILL, (kill + 1) * FILES_A_KILL):
            put(site, names[i], rows(2, first=i))
        before = len(site.names("done"))
        watcher = site.watch(settle="0.1")
        site.until(lambda before=before: len(site.names("done")) > before)
        time.sleep(dice.random() * 0.02)  # somewhere within a file
        watcher.kill()
    site.watch(settle="0.1")

    site.until(lambda: site.names("done") == names)
    site.until(lambda: site.sources("completed") == names)

    assert site.left() == []
    assert len(site.jobs()) == len(names)


def test_a_file_that_is_still_copied_is_left_alone_until_it_is_whole(running: Site) -> None:
    site = running
    site.watch(settle="2.0")
    text = rows(400)
    with (site.incoming / "slow.csv").open("w") as file:
        for start in range(0, len(text), 120):
            file.write(text[start : start + 120])
            file.flush()
            time.sleep(0.1)
            assert (site.incoming / "slow.csv").exists(), "it is not taken yet"

    site.until(lambda: site.sources("completed") == ["slow.csv"])

    assert site.jobs()[0]["rows"] == 400


def test_what_is_no_file_of_rows_is_moved_aside_with_the_reason(running: Site) -> None:
    site = running
    put(site, "picture.csv", "%PDF-1.7\n")
    put(site, "empty.csv", "")
    watcher = site.watch()

    site.until(lambda: len(site.names("failed")) == 4)

    assert site.names("failed") == ["empty.csv", "empty.csv.reason.txt", "picture.csv", "picture.csv.reason.txt"]
    assert "is a PDF document" in (site.incoming / "failed/picture.csv.reason.txt").read_text()
    assert (site.incoming / "failed/empty.csv.reason.txt").read_text() == "the file is empty\n"
    assert "picture.csv is refused: the file is a PDF document" in watcher.log
    assert site.jobs() == []


def test_links_folders_hidden_and_temporary_files_are_no_input(running: Site) -> None:
    site = running
    outside = site.installation.folder / "outside.csv"
    outside.write_text(rows(2))
    (site.incoming / "link.csv").symlink_to(outside)
    (site.incoming / "folder.csv").mkdir()
    for name in (".hidden.csv", "rows.csv.part", "rows.tmp", "rows.csv~", "notes.md"):
        (site.incoming / name).write_text(rows(2))
    os.mkfifo(site.incoming / "pipe.csv")
    watcher = site.watch("--pattern", "*.[ctp]*")
    put(site, "rows.csv", rows(2))

    site.until(lambda: site.sources("completed") == ["rows.csv"])

    assert watcher.log.count("link.csv is a symbolic link") == 1
    left = {".hidden.csv", "rows.csv.part", "rows.tmp", "rows.csv~", "notes.md", "link.csv", "folder.csv", "pipe.csv"}
    assert left < {entry.name for entry in site.incoming.iterdir()}


def test_a_file_of_the_same_name_is_another_job_and_overwrites_nothing(running: Site) -> None:
    site = running
    site.watch("--results", str(site.incoming / "results"))
    put(site, "rows.csv", rows(2))
    site.until(lambda: site.names("done") == ["rows.csv"])
    put(site, "rows.csv", rows(3))

    site.until(lambda: len(site.names("results")) == 2)

    second = site.jobs()[1]["id"][:8]
    assert site.names("done") == [f"rows-{second}.csv", "rows.csv"]
    assert site.names("results") == [f"rows-{second}.csv.results.csv", "rows.csv.results.csv"]
    assert len((site.incoming / "results" / f"rows-{second}.csv.results.csv").read_text().splitlines()) == 4


def test_while_the_broker_is_away_files_wait_and_then_become_jobs(site: Site) -> None:
    watcher = site.watch()
    with closing(apsw.Connection(str(site.installation.broker_file))) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write to the broker
        put(site, "rows.csv", rows(2))
        site.until(lambda: "next try in" in watcher.log)
        assert site.names("done") == []
        other.execute("ROLLBACK")

    site.until(lambda: site.names("done") == ["rows.csv"])
    assert watcher.log.count("is accepted as job") == 1


def test_when_the_storage_cannot_be_written_to_nothing_is_lost(running: Site) -> None:
    site = running
    watcher = site.watch()
    storage = site.installation.folder / "var" / "storage"
    shutil.rmtree(storage, ignore_errors=True)
    storage.parent.mkdir(exist_ok=True)
    storage.write_text("a file where a folder should be")
    put(site, "rows.csv", rows(2))
    site.until(lambda: watcher.log.count("next try in") >= 2)
    assert site.names("done") == []

    storage.unlink()

    site.until(lambda: site.sources("completed") == ["rows.csv"])
    assert site.names("done") == ["rows.csv"]


def test_what_no_file_could_cure_is_refused_at_the_start(site: Site) -> None:
    put(site, "rows.csv", rows(2))
    folder = str(site.incoming)

    for arguments, said in (
        ((folder, "--endpoint", "products"), "there is no endpoint 'products'; known: sums"),
        ((f"{folder}/none", "--endpoint", "sums"), "is no folder"),
        ((folder, "--endpoint", "sums", "--done", folder), "a folder of its own"),
    ):
        process = site.installation.start("watch", *arguments)
        assert process.wait() == 2
        assert said in process.log

    assert (site.incoming / "rows.csv").exists()


def test_a_stopped_watcher_ends_in_good_order(site: Site) -> None:
    watcher = site.watch()

    watcher.signal(signal.SIGTERM)

    assert watcher.wait() == 0
    assert "watch: stopped" in watcher.log
