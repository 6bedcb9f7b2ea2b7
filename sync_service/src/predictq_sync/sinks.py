"""Users' own sinks: classes that are called with each committed batch of predictions."""

import importlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import from_json
from sqlalchemy import bindparam, select

from predictq.errors import SettingsError, Unavailable
from predictq.settings import Settings, SinkSettings
from predictq_sync.database import Database
from predictq_sync.prediction_rows import PredictionRow
from predictq_sync.statements import among, json_ids
from predictq_sync.tables import predictions

__all__ = ["Sink", "Sinks", "open_sinks"]

log = logging.getLogger(__name__)


class Sink(Protocol):
    """What `[sinks.NAME] target` names: an instance is made with the `options` and called in the store's thread."""

    def __call__(self, predictions: list[dict[str, Any]]) -> None:
        """Take the predictions of one commit.

        Each has `request_id`, `deployment`, `endpoint`, `model_version`, `status`, `outputs`, `errors`, `batch_id`,
        `redrive`, `visible` (False: a shadow's) and `created_at`. They come at least once: again, in place, for as long
        as this raises, and after a crash. So write by (request_id, deployment).
        """


class Sinks:
    """All sinks, one after another. Called by one thread."""

    def __init__(self, database: Database, sinks: Mapping[str, Sink]) -> None:
        self._database = database
        self._sinks = sinks
        self._in_hand: Sequence[PredictionRow] = ()
        self._taken: set[str] = set()

    def __call__(self, rows: Sequence[PredictionRow]) -> None:
        """Give them the predictions of a commit, as the database now holds them.

        Raises Unavailable when one raised; called again with the same rows, it calls only those that have not taken
        them yet.
        """
        if not self._sinks or not rows:
            return
        if rows != self._in_hand:
            self._in_hand, self._taken = rows, set()
        committed = self._committed(rows)
        for name, sink in self._sinks.items():
            if name in self._taken:
                continue
            try:
                sink(committed)
            except Exception as error:
                log.exception("sink %s raised; it is given the same predictions again", name)
                raise Unavailable(f"sink {name}: {type(error).__name__}: {error}") from error
            self._taken.add(name)
        self._in_hand = ()

    def _committed(self, rows: Sequence[PredictionRow]) -> list[dict[str, Any]]:
        # Read back, not taken from the messages: of two answers the first is the one that counts, also when this batch
        # comes again after a crash between its commit and its sinks.
        keys = {(row.request_id, row.deployment) for row in rows}
        with self._database.read() as connection:
            found = connection.execute(_COMMITTED, {"ids": json_ids([row.request_id for row in rows])}).mappings().all()
        return [
            {**row, "outputs": from_json(row["outputs"]), "errors": from_json(row["errors"])}
            for row in found
            if (row["request_id"], row["deployment"]) in keys
        ]


def open_sinks(settings: Settings) -> Mapping[str, Sink]:
    """The sinks of the settings. Raises SettingsError for one that cannot be made."""
    return {name: _open(name, sink, settings) for name, sink in settings.sinks.items()}


def _open(name: str, sink: SinkSettings, settings: Settings) -> Sink:
    key = f"sinks.{name}.target"
    module_name, _, class_name = sink.target.partition(":")
    if not module_name or not class_name:
        raise SettingsError(f'{key}: {sink.target!r}: "package.module:Class" would be right')
    folder = str(settings.folder.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # a user's module beside their settings
    try:
        made: Callable[..., Sink] = getattr(importlib.import_module(module_name), class_name)
        opened = made(**sink.options)
    except Exception as error:
        raise SettingsError(f"{key}: {sink.target!r} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(opened):
        raise SettingsError(f"{key}: {sink.target!r} cannot be called; it needs `def __call__(self, predictions)`")
    return opened


_COMMITTED = (
    select(predictions)
    .where(among(predictions.c.request_id, bindparam("ids")))
    .order_by(predictions.c.request_id, predictions.c.deployment)
)
