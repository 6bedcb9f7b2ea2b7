"""The composition root of `predictq submit`."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from predictq.brokers import open_broker
from predictq.cli.output import emit_json, say
from predictq.errors import UserMistake
from predictq.messages import Callback
from predictq.push.callbacks import CallbackCheck, WrongCallback
from predictq.settings import Settings
from predictq.topology import topology_of
from predictq_producers.files import Format, format_of
from predictq_producers.requests import maker_of, request_makers
from predictq_producers.submitting import FileSubmit

__all__ = ["submit_file"]

STDIN = "-"
SPOOL_BYTES = 16 * 1024 * 1024


def submit_file(
    settings: Settings,
    endpoint: str,
    file: str,
    *,
    form: Format | None,
    instances_per_request: int,
    callback: str | None,
    as_json: bool,
) -> None:
    """Submit a file and print an id, or with `as_json` an object, a line for each request.

    `callback` is a URL to which the end of each request is pushed.
    """
    with closing(open_broker(settings.broker_url())) as broker, _opened(file) as stream:
        maker = maker_of(request_makers(settings, max_message_bytes=broker.max_message_bytes), endpoint)
        submit = FileSubmit(
            maker,
            stream,
            name="stdin" if file == STDIN else file,
            form=form or format_of("standard input" if file == STDIN else file),
            instances_per_request=instances_per_request,
            callback=None if callback is None else _checked(settings, callback),
            clock=time.time,
        )
        total = submit.check()
        with closing(broker.admin()) as admin:
            admin.ensure(topology_of(settings))
        with closing(broker.producer()) as producer, _progress() as progress:
            task = progress.add_task(f"submitting to {endpoint}", total=total)
            for batch in submit.publish(producer):
                for submitted in batch:
                    if as_json:
                        emit_json({**submitted._asdict(), "endpoint": endpoint})
                    else:
                        sys.stdout.write(f"{submitted.id}\n")
                progress.advance(task, len(batch))
    if sys.stderr.isatty():
        say(f"{total} requests submitted; `predictq get ID` shows the result of one")


def _checked(settings: Settings, url: str) -> Callback:
    try:
        return CallbackCheck(settings.push)({"url": url})
    except WrongCallback as error:
        raise UserMistake(f"--callback {error}") from error


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """The file, or a copy of standard input, which cannot be read twice."""
    if file == STDIN:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            yield copy
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; only what opening raises is about the file
    except OSError as error:
        raise UserMistake(f"{file}: cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
