"""What pydantic finds wrong, in words that say the way out: for bodies, files and settings alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SUBJECT = re.compile(r"^(Input|Value|String|List|Tuple|Set|Dictionary) should")

_WAYS_OUT = {
    "missing": "This field is required; add it.",
    "extra_forbidden": "There is no such field here; remove it or check its spelling.",
    "uuid_parsing": "This must be a UUID, as given by the route that created the thing.",
    "uuid_type": "This must be a UUID, as given by the route that created the thing.",
    "date_from_datetime_parsing": "This must be a date as YYYY-MM-DD.",
    "date_parsing": "This must be a date as YYYY-MM-DD.",
    "date_type": "This must be a date as YYYY-MM-DD.",
    "timezone_aware": "This moment needs an offset, as in 2026-01-31T09:00:00Z.",
    "model_attributes_type": "This must be an object of named fields.",
    "model_type": "This must be an object of named fields.",
    "dict_type": "This must be an object of named fields.",
    "list_type": "This must be a list.",
    "tuple_type": "This must be a list.",
    "string_type": "This must be a text.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "string_unicode": "This text is not valid Unicode (a lone surrogate); send it as UTF-8.",
}


def way_out(fault: Mapping[str, Any]) -> str:
    """One sentence about an entry of ValidationError.errors()."""
    if fault["type"].endswith("_type") and fault.get("input", ...) is None:
        return "This may not be empty; give a value."
    if known := _WAYS_OUT.get(fault["type"]):
        return known
    said = str(fault["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    said = _SUBJECT.sub("This must", said)
    return said if said.endswith(".") else f"{said}."


def given(fault: Mapping[str, Any]) -> Any:
    """What stood there; not for a missing field, where it would be everything around it."""
    return None if fault["type"] == "missing" else fault.get("input")
