"""What `predictq doctor` looks at.

Members add theirs by the entry point `predictq.checks`: a function of the settings that returns a sequence of `Check`.
"""

import importlib.util
import socket
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from predictq.brokers.opening import open_broker
from predictq.errors import PredictqError, Unavailable
from predictq.settings import Settings
from predictq.storage import Storage, local_path
from predictq.topology import topology_of

__all__ = ["Check", "core_checks", "file_checks", "port_is_free"]

SAFE_SQLITE = (3, 51, 3)
MODEL_FILES = (".joblib", ".skops", ".onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, what was found, and what mends it where it is not well."""

    name: str
    ok: bool
    detail: str
    cure: str = ""


def core_checks(settings: Settings) -> Sequence[Check]:
    """Everything that can be said without the members: endpoints, files, port, storage, broker, topics."""
    return [*_endpoints(settings), *file_checks(settings), _port(settings), _storage(settings), *_broker(settings)]


def file_checks(settings: Settings) -> Iterator[Check]:
    """Whether the models and schemas that the settings name can be found."""
    named = [(f"deployments.{name}.model", d.model) for name, d in settings.deployments.items()]
    named += [(f"endpoints.{name}.input", e.input) for name, e in settings.endpoints.items() if e.input]
    for key, text in named:
        module, separator, _ = text.partition(":")
        if separator and not text.endswith(MODEL_FILES):
            found = _importable(module, settings)
            cure = "" if found else f"install the package, or put it into {settings.folder}"
            detail = f"{text}: {'found' if found else f'there is no module {module!r}'}"
            yield Check(name=key, ok=found, detail=detail, cure=cure)
        else:
            found = settings.path(text).is_file()
            cure = "" if found else f"put the file there, or change {key}"
            yield Check(
                name=key, ok=found, detail=f"{settings.path(text)}: {'found' if found else 'no file'}", cure=cure
            )


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def _endpoints(settings: Settings) -> Iterator[Check]:
    if not settings.endpoints:
        cure = "add [endpoints.<name>] and [deployments.<name>] to predictq.toml"
        yield Check(name="endpoints", ok=False, detail="none is configured", cure=cure)
    for endpoint in settings.endpoints:
        serving = settings.deployments_of(endpoint)
        detail = ", ".join(f"{name} ({deployment.role})" for name, deployment in serving.items())
        cure = f'add [deployments.<name>] with endpoint = "{endpoint}" to predictq.toml'
        yield Check(
            name=f"endpoint {endpoint}",
            ok=bool(serving),
            detail=detail or "has no deployment",
            cure="" if serving else cure,
        )


def _importable(module: str, settings: Settings) -> bool:
    """Whether its top package can be found; nothing of it is run."""
    top = module.partition(".")[0]
    sys.path.insert(0, str(settings.folder))
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
    finally:
        sys.path.remove(str(settings.folder))


def _port(settings: Settings) -> Check:
    host, port = settings.gateway.host, settings.gateway.port
    at = f"{host}:{port}"
    try:
        if port == 0 or port_is_free(host, port):
            return Check(name="gateway port", ok=True, detail=f"{at} is free")
    except OSError as error:
        cure = "set gateway.host to an address of this machine, such as 127.0.0.1"
        return Check(name="gateway port", ok=False, detail=f"{at}: {error.strerror}", cure=cure)
    if _gateway_answers(settings.gateway.url):
        return Check(name="gateway port", ok=True, detail=f"a gateway answers at {at}")
    cure = "stop what listens there, or set gateway.port (PREDICTQ_GATEWAY__PORT)"
    return Check(name="gateway port", ok=False, detail=f"{at} is taken by something else", cure=cure)


def _storage(settings: Settings) -> Check:
    """Whether this process can write to it, read and delete."""
    url = settings.storage_url()
    folder = local_path(url)
    if folder is not None and _is_missing(folder):
        return Check(name="storage", ok=True, detail=f"{folder}: no folder yet; what is written to it first makes it")
    place = ("checks", uuid.uuid4().hex)
    try:
        storage = Storage(url, settings.jobs.storage_options)
        with storage.writing(*place, "check") as stream:
            stream.write(b"predictq doctor")
        with storage.open(storage.url_of(*place, "check")) as stream:
            stream.read()
        storage.delete(*place)
    except PredictqError as error:
        cure = "see the message" if isinstance(error, Unavailable) else "mend jobs.storage in the settings"
        return Check(name="storage", ok=False, detail=str(error), cure=cure)
    return Check(name="storage", ok=True, detail=f"{url}: written to and read")


def _gateway_answers(url: str) -> bool:
    from urllib.request import urlopen  # noqa: PLC0415 - slow to import, and most commands do not need it

    try:
        with urlopen(f"{url}/healthz", timeout=2.0) as answer:  # noqa: S310 - http by construction
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _broker(settings: Settings) -> Iterator[Check]:
    url = settings.broker_url()
    if url.startswith("sqlite:"):
        yield _sqlite()
        path = url.partition("sqlite:///")[2]
        if path and _is_missing(Path(path)):
            # Opening it would make it, and the folders above it.
            cure = "predictq topics ensure makes it (`predictq up` does it by itself)"
            yield Check(name="broker", ok=False, detail=f"{path}: no file yet", cure=cure)
            return
    try:
        broker = open_broker(url)
        admin = broker.admin()
    except PredictqError as error:
        cure = "see the message" if isinstance(error, Unavailable) else "mend `broker` in the settings"
        yield Check(name="broker", ok=False, detail=str(error), cure=cure)
        return
    try:
        health = admin.health()
        cure = "" if health.ok else f"see that {url.partition(':')[0]} runs and that `broker` in the settings is right"
        yield Check(name="broker", ok=health.ok, detail=health.detail, cure=cure)
        if health.ok:
            missing = admin.ensure(topology_of(settings), dry_run=True)
            cure = "predictq topics ensure (`predictq up` does it by itself)" if missing else ""
            detail = f"{len(missing)} to create or change" if missing else "all there"
            yield Check(name="topics and groups", ok=not missing, detail=detail, cure=cure)
    except PredictqError as error:
        yield Check(name="topics and groups", ok=False, detail=str(error), cure="see the message")
    finally:
        admin.close()
        broker.close()


def _is_missing(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:  # then opening it says what is wrong
        return False


def _sqlite() -> Check:
    import apsw  # noqa: PLC0415 - the driver of one broker

    version = apsw.sqlite_lib_version()
    ok = tuple(int(part) for part in version.split(".")) >= SAFE_SQLITE
    cure = "" if ok else "pip install --upgrade apsw: older ones can corrupt a database in WAL mode"
    return Check(name="SQLite of the broker", ok=ok, detail=version, cure=cure)
