"""Request bodies: unknown fields refused, texts stripped, control characters refused wherever they hide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

# Tab, line feed and carriage return stand in addresses and notes; single-line types refuse them too.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DEEPEST = 40


class Body(BaseModel):
    """What every request body extends."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_control_characters(cls, given: Any) -> Any:
        found = [] if _plain(given) else list(_violations(given, (), _DEEPEST))
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return given


def _plain(given: Any) -> bool:
    """Whether a body is flat and all its texts printable, as nearly every one is: a quarter of what looking costs."""
    if type(given) is not dict:
        return False
    for value in given.values():
        kind = type(value)
        if kind is str:
            if not value.isprintable():
                return False
        elif kind is dict or kind is list:
            return False
    return "".join(map(str, given)).isprintable()


def _violations(value: Any, at: tuple[str | int, ...], depth: int) -> Iterator[InitErrorDetails]:
    if isinstance(value, str):
        # isprintable is one fast call that clears nearly every text; the pattern decides about the rest.
        if not value.isprintable() and (match := _FORBIDDEN.search(value)):
            code = f"U+{ord(match.group()):04X}"
            detail = PydanticCustomError(
                "control_character", "The text holds the control character {code}; remove it.", {"code": code}
            )
            yield InitErrorDetails(type=detail, loc=at, input=value)
    elif isinstance(value, dict):
        if depth == 0:
            detail = PydanticCustomError("too_deep", "The body is nested too deeply; flatten it.")
            yield InitErrorDetails(type=detail, loc=at, input=None)
            return
        for key, inner in value.items():
            if isinstance(key, str) and not key.isprintable():
                yield from _violations(key, (*at, ascii(key)), depth)
            yield from _violations(inner, (*at, key), depth - 1)
    elif isinstance(value, list):
        if depth == 0:
            return
        for index, inner in enumerate(value):
            yield from _violations(inner, (*at, index), depth - 1)
