"""What a poll brought to predict: instances as JSON has them, or rows of numbers that are still columns."""

from typing import Any

from predictq.messages import Columns, RequestData, unpack
from predictq_workers.model import Checked, Servable

__all__ = ["Inputs"]


class Inputs:
    """Instances of requests, one after the other; columns stay columns as long as nothing else comes."""

    def __init__(self) -> None:
        self.count = 0
        """Instances so far."""
        self._instances: list[Any] = []
        self._columns: list[Columns] = []

    def add(self, data: RequestData) -> None:
        """Those of one request. Raises BadMessage where what is packed is damaged, and leaves things as they were."""
        if "packed" in data:
            columns = unpack(data["packed"])
            if not self._instances:
                self._columns.append(columns)
                self.count += columns.rows
                return
            instances = columns.instances()
        else:
            instances = data["instances"]
            if self._columns:
                self._unpack()
        self._instances += instances
        self.count = len(self._instances)

    def checked(self, model: Servable) -> Checked:
        """As the model wants them."""
        if self._columns:
            if (checked := model.check_columns(self._columns)) is not None:
                return checked
            self._unpack()
        return model.check(self._instances)

    def _unpack(self) -> None:
        for columns in self._columns:
            self._instances += columns.instances()
        self._columns = []
