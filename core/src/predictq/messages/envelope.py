"""The envelope that all messages share: CloudEvents 1.0, structured JSON mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from typing import Annotated, Any, Generic, Literal, NoReturn, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from predictq.clock import TIME_PATTERN
from predictq.errors import BadMessage
from predictq.names import NAME_PATTERN

__all__ = ["SPECVERSION", "Codec", "Envelope", "EventT", "Hash", "Id", "Name", "Time", "source_of"]

SPECVERSION: Literal["1.0"] = "1.0"

EventT = TypeVar("EventT")

Id = Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
"""A UUID where it is ours; of others printable ASCII, which any database takes as a key."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Of an endpoint or a deployment."""
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, hexadecimal."""
Time = Annotated[str, Field(pattern=TIME_PATTERN)]


class Envelope(TypedDict):
    """What every event carries beside its type and data."""

    specversion: Literal["1.0"]
    id: str
    source: str
    time: str


def source_of(endpoint: str) -> str:
    """The `source` attribute of an endpoint's events."""
    return f"/predictq/endpoints/{endpoint}"


class Codec(Generic[EventT]):
    """Bytes to an event and back, by pydantic's compiled JSON path.

    Events are typed dictionaries: half the cost of model instances, and the same checks.
    """

    def __init__(self, event_type: Any) -> None:
        self._adapter: TypeAdapter[EventT] = TypeAdapter(event_type)
        self.json_schema: dict[str, Any] = self._adapter.json_schema()
        self._validate_json = self._adapter.validator.validate_json
        self._to_json = self._adapter.serializer.to_json

    def schema(self, ref_template: str) -> dict[str, Any]:
        """Its JSON Schema, for a document that keeps the definitions at another place; `{model}` is the name of one."""
        return self._adapter.json_schema(ref_template=ref_template)

    def decode(self, value: bytes) -> EventT:
        """The event in `value`. Raises BadMessage, which names the first place that is wrong."""
        try:
            event: EventT = self._validate_json(value)
        except ValidationError as error:
            _refuse(error)
        return event

    def encode(self, event: EventT) -> bytes:
        """The bytes of `event`, unchecked: whoever builds an event of ours answers for its types."""
        return self._to_json(event)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_input=False)[0]
    place = "/".join(str(step) for step in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    raise BadMessage(f"{place or 'message'}: {first['msg']}{more}") from error
