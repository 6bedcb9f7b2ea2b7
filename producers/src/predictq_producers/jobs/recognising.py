"""What kind of file this is: by its content, and by its name where that says nothing."""

import re
from pathlib import PurePath
from typing import Literal, NamedTuple

from pydantic_core import from_json

from predictq.messages import FileFormat
from predictq_producers.jobs.faults import BadFile

__all__ = ["HEAD_BYTES", "Compression", "Kind", "compression_of", "format_of"]

HEAD_BYTES = 64 * 1024
"""Of the beginning of a file: enough to tell."""

Compression = Literal["gzip", "zstd"]
_PACKED: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BINARY: dict[bytes, FileFormat] = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_REFUSED = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook",
    b"BZh": "is packed by bzip2",
    b"\xfd7zXZ\x00": "is packed by xz",
    b"%PDF": "is a PDF document",
}
_SUFFIXES: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}
_BOM = b"\xef\xbb\xbf"
_RIGHT = "CSV, JSON Lines, a JSON array, Parquet or Arrow, plain or packed by gzip or zstd, would be right"


class Kind(NamedTuple):
    """How a file is written."""

    format: FileFormat
    compression: Compression | None


def compression_of(head: bytes) -> Compression | None:
    """How the file is packed, by its first bytes."""
    return next((packed for magic, packed in _PACKED.items() if head.startswith(magic)), None)


def format_of(head: bytes, name: str) -> FileFormat:
    """The format of a file whose first bytes, unpacked, are these. Raises BadFile."""
    if not head:
        raise BadFile("the file is empty")
    for magic, known in _BINARY.items():
        if head.startswith(magic):
            return known
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise BadFile(f"the file {what}; {_RIGHT}")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _by_name(name) or "csv"
    if b"\0" in head[:4096]:
        raise BadFile(f"the file is of no known kind; {_RIGHT}")
    return _of_text(head.removeprefix(_BOM).lstrip(), name)


def _of_text(text: bytes, name: str) -> FileFormat:
    if not text:
        raise BadFile("the file holds nothing but white space")
    named = _by_name(name)
    if named == "csv" or not text.startswith((b"{", b"[")):
        if named in {"json", "jsonl"} and re.match(rb"[A-Za-z0-9_\"]+[,;\t]", text) is None:
            return named
        return "csv"
    if named == "jsonl" and (text.startswith(b"{") or b"\n" not in text):
        return "jsonl"
    return "jsonl" if _is_lines(text) else "json"


def _is_lines(text: bytes) -> bool:
    """Whether the first line is a value by itself and another one follows."""
    first, newline, rest = text.partition(b"\n")
    try:
        value = from_json(first)
    except ValueError:
        return False
    if rest.strip():
        return True
    # One line alone: an array of rows is a JSON array, all else is one row.
    return bool(newline) and not (isinstance(value, list) and any(isinstance(row, dict | list) for row in value))


def _by_name(name: str) -> FileFormat | None:
    path = PurePath(name.lower())
    while path.suffix in {".gz", ".gzip", ".zst", ".zstd"}:
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix)
