"""What the tables of the settings are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from predictq.names import NAME_PATTERN

__all__ = ["DAY", "Name", "Seconds", "Section"]

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DAY = 86_400.0


class Section(BaseModel):
    """A table of the settings: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
