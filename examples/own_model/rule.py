"""A model of one's own: nothing to inherit, one output for each instance, in the same order."""

from pydantic import BaseModel


class PetalRule:
    """Tells irises apart by the length of their petals."""

    class Input(BaseModel):
        """What an instance looks like. May be left out: then `predict` gets the instances as they came."""

        sepal_length_cm: float
        sepal_width_cm: float
        petal_length_cm: float
        petal_width_cm: float

    def __init__(self, short_cm: float) -> None:
        self._short_cm = short_cm

    def predict(self, batch: list[Input]) -> list[str]:
        """Called once for each mini-batch. Whatever JSON can hold may be an output."""
        return ["setosa" if flower.petal_length_cm < self._short_cm else "another" for flower in batch]
