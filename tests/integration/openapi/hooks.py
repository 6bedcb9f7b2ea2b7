"""What schemathesis loads: half of what it asks for exists."""

import json
import os
from typing import Any

import schemathesis

KNOWN = json.loads(os.environ["KNOWN"])
"""Something that exists, for each parameter of a path."""


@schemathesis.hook
def map_path_parameters(_: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    if path_parameters is None:
        return None
    return {name: KNOWN.get(name, value) if len(str(value)) % 2 else value for name, value in path_parameters.items()}
