"""Servers that stay until they are told to go: `make services`, `make services-down`, and the file between them."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.asking import answers
from tests.servers.local_server import RECORDS
from tests.servers.names import SERVER_NAMES, ServerName, variable_of
from tests.servers.processes import end_recorded
from tests.servers.starting import LOCAL_SERVERS, new_folder

SERVICES_FILE = Path(__file__).parents[2] / ".services.env"
_FOLDER = "PREDICTQ_TEST_SERVICES"
"""Names the folder of all of them."""


def read_services(file: Path = SERVICES_FILE) -> dict[str, str]:
    """The variables that the file sets; none without a file."""
    if not file.exists():
        return {}
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def start_services(file: Path = SERVICES_FILE, wanted: Sequence[ServerName] = SERVER_NAMES) -> dict[ServerName, str]:
    """Start, side by side, those that do not answer; the URLs of all, which are in the file too."""
    known = read_services(file)
    folder = Path(known.get(_FOLDER) or new_folder())
    folder.mkdir(mode=0o711, exist_ok=True)
    urls = {name: known[variable_of(name)] for name in SERVER_NAMES if variable_of(name) in known}
    away = [name for name in wanted if name not in urls or not answers(urls[name])]
    for name in away:
        urls.pop(name, None)
    # Whatever happens from here on, who stops them finds their folder, and those that did start are used.
    _write(file, urls, folder)
    with ThreadPoolExecutor() as threads:
        starting = {name: threads.submit(_start, name, folder) for name in away}
    urls |= {name: started.result() for name, started in starting.items() if not started.exception()}
    _write(file, urls, folder)
    for started in starting.values():
        started.result()
    return urls


def stop_services(file: Path = SERVICES_FILE) -> list[ServerName]:
    """End those that were started here and wait until they are gone, data included; their names."""
    if not (known := read_services(file).get(_FOLDER)):
        return []
    folder = Path(known)
    names = [name for name in SERVER_NAMES if (folder / name).exists()]
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(lambda name: _end(folder / name), names):
            pass
    if folder.exists():
        shutil.rmtree(folder)
    file.unlink()
    return names


def _write(file: Path, urls: dict[ServerName, str], folder: Path) -> None:
    lines = [
        "# Servers of `make services`; `make services-down` ends them.",
        *(f"{variable_of(name)}={url}" for name, url in urls.items()),
        f"{_FOLDER}={folder}",
    ]
    file.write_text("".join(f"{line}\n" for line in lines))


def _start(name: ServerName, folder: Path) -> str:
    if (folder / name).exists():
        _end(folder / name)
    server = LOCAL_SERVERS[name](folder / name, detached=True)
    server.start()
    return server.url


def _end(folder: Path) -> None:
    recorded = folder / RECORDS
    for line in recorded.read_text().splitlines() if recorded.exists() else []:
        end_recorded(line)
    shutil.rmtree(folder)
