"""JSON Lines and JSON arrays as lines of JSON."""

from collections.abc import Iterator

from pydantic_core import from_json, to_json

from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.pieces import Lines
from predictq_producers.jobs.reading import OpenFile

__all__ = ["read_json", "read_json_lines"]

_BOM = b"\xef\xbb\xbf"
_READ_BYTES = 1 << 20


def read_json_lines(file: OpenFile, *, max_row_bytes: int) -> Iterator[Lines]:
    """Lines as they are, without the empty ones. Raises BadFile for a line above `max_row_bytes`."""
    plain = file.plain()
    rest = plain.read(_READ_BYTES).removeprefix(_BOM)
    while True:
        more = plain.read(_READ_BYTES)
        if not more:
            lines = rest.split(b"\n")
            rest = b""
        else:
            *lines, rest = (rest + more).split(b"\n")
        if len(rest) > max_row_bytes or max(map(len, lines), default=0) > max_row_bytes:
            raise BadFile(f"a line has more than {max_row_bytes} bytes; jobs.max_row_bytes allows no more")
        if kept := [line for line in lines if line.strip()]:
            yield Lines(kept)
        if not more:
            return


def read_json(file: OpenFile, *, max_bytes: int) -> Iterator[Lines]:
    """The rows of an array, alone or under `instances`; read whole, so at most `max_bytes`."""
    raw = file.plain().read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise BadFile(f"a JSON array is read whole, and this has more than {max_bytes} bytes; send it as JSON Lines")
    try:
        value = from_json(raw.removeprefix(_BOM), allow_inf_nan=False)
    except ValueError as error:
        raise BadFile(f"the file is not JSON: {error}") from error
    if isinstance(value, dict) and "instances" in value:
        value = value["instances"]
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise BadFile("the list is empty; at least one row would be right")
    yield Lines([to_json(row) for row in rows])
