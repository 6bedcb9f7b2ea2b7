"""The log on standard error: text for people, JSON lines for collectors."""

import json
import logging
import sys
from typing import Any

from predictq.clock import wire_time
from predictq.settings import LogSettings

__all__ = ["configure_logging"]

CHATTY = ("alembic",)
"""Libraries that tell of each step at the level at which we tell of each start."""


def configure_logging(settings: LogSettings, *, process: str) -> None:
    """Send all records of this process to standard error. `process` names it in each line."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = _JsonLines(process) if settings.format == "json" else _Text(process)
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class _Text(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {process}: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's name
        return wire_time(record.created)


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": wire_time(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
