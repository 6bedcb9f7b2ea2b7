"""Instances in files: JSON, JSON lines, CSV."""

import csv
import io
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import IO, Any, NamedTuple

from pydantic_core import from_json

from predictq.chunkfile import NUMBER, cell_value
from predictq.errors import UserMistake

__all__ = ["Format", "Row", "format_of", "read_rows"]


class Format(StrEnum):
    """How a file is written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


SUFFIXES = {".json": Format.JSON, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV}


class Row(NamedTuple):
    """One instance and where it stands, e.g. `rows.csv:17`."""

    place: str
    instance: Any


def format_of(name: str) -> Format:
    """The format that the file's name ends with. Raises UserMistake for any other."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserMistake(f"{name}: its format is not in its name; --format json, jsonl or csv would be right")
    return SUFFIXES[suffix]


def read_rows(stream: IO[bytes], name: str, form: Format) -> Iterator[Row]:
    """The instances of a file, one by one; JSON is read whole. Raises UserMistake with the line that is wrong."""
    match form:
        case Format.JSON:
            return _json(stream, name)
        case Format.JSONL:
            return _json_lines(stream, name)
        case Format.CSV:
            return _csv(stream, name)


def _json(stream: IO[bytes], name: str) -> Iterator[Row]:
    value = _parsed(stream.read(), name)
    at = ""
    if isinstance(value, dict) and "instances" in value:
        if len(value) > 1:
            raise UserMistake(f'{name}: beside "instances" nothing else would be right')
        value, at = value["instances"], "/instances"
    instances = value if isinstance(value, list) else [value]
    if not instances:
        raise UserMistake(f"{name}: the list is empty; at least one instance would be right")
    for index, instance in enumerate(instances):
        yield Row(f"{name}: {at}/{index}", instance)


def _json_lines(stream: IO[bytes], name: str) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if text.strip():
            yield Row(f"{name}:{number}", _parsed(text, f"{name}:{number}"))


def _parsed(text: bytes, place: str) -> Any:
    try:
        return from_json(text.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError as error:
        raise UserMistake(f"{place}: is not JSON: {error}") from error


def _csv(stream: IO[bytes], name: str) -> Iterator[Row]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, None)
        if header is None or not any(header):
            raise UserMistake(f"{name}: is empty; a first line with the names of the features would be right")
        _check_header(header, f"{name}:1")
        for cells in reader:
            place = f"{name}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise UserMistake(f"{place}: has {len(cells)} cells; {len(header)}, one for each name, would be right")
            yield Row(place, {key: _cell(cell, place, key) for key, cell in zip(header, cells, strict=True)})
    except UnicodeDecodeError as error:
        raise UserMistake(f"{name}: after line {reader.line_num} comes what is no UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise UserMistake(f"{name}:{reader.line_num}: is no CSV: {error}") from error
    finally:
        text.detach()


def _check_header(header: list[str], place: str) -> None:
    seen: set[str] = set()
    for number, key in enumerate(header, start=1):
        if not key or key in seen:
            wrong = f"name {key!r} stands twice" if key else f"column {number} has no name"
            raise UserMistake(f"{place}: {wrong}; a name of its own for each column would be right")
        seen.add(key)


def _cell(cell: str, place: str, key: str) -> Any:
    """A number where it reads as one, null where it is empty, else the text."""
    value = cell_value(cell)
    if isinstance(value, str) and NUMBER.fullmatch(cell):
        raise UserMistake(f"{place}: {key}: {cell[:40]} is above what a number can hold")
    return value
