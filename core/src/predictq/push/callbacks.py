"""What a request or a job may say about its own push: `{"url": …, "events": […]}`."""

from collections.abc import Sequence
from typing import Any

from predictq.messages import Callback
from predictq.push.events import PREDICTION_EVENTS, check_events
from predictq.push.settings import PushSettings

__all__ = ["CallbackCheck", "WrongCallback"]

FIELDS = ("url", "events")


class WrongCallback(ValueError):
    """What is wrong with a callback; `place` is the field, empty for the callback itself."""

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(detail)
        self.place = place


class CallbackCheck:
    """Reads callbacks. Holds no state that changes; may be used by any thread."""

    def __init__(self, push: PushSettings) -> None:
        self._targets = push.targets()
        self._signed = push.signs

    def __call__(self, value: Any, known: Sequence[str] = PREDICTION_EVENTS) -> Callback:
        """The callback in a value of JSON, its events among these. Raises WrongCallback."""
        if not isinstance(value, dict) or not isinstance(value.get("url"), str):
            raise WrongCallback("", 'is no object with a url; {"url": "https://example.org/hook"} would be right')
        if unknown := [name for name in value if name not in FIELDS]:
            raise WrongCallback(unknown[0][:64], f"is unknown here; known are {', '.join(FIELDS)}")
        if not self._signed:
            raise WrongCallback(
                "",
                "cannot be signed: this service has neither push.secret nor push.signing_key; its operator can set one",
            )
        try:
            callback: Callback = {"url": self._targets.check(value["url"])}
        except ValueError as error:
            raise WrongCallback("url", str(error)) from None
        events = value.get("events")
        if events is None:
            return callback
        if not isinstance(events, list) or not events or not all(isinstance(each, str) for each in events):
            raise WrongCallback("events", f"is no list of events; known: {', '.join(known)}")
        try:
            check_events(events, known)
        except ValueError as error:
            raise WrongCallback("events", str(error)) from None
        callback["events"] = events
        return callback
