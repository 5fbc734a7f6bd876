"""Ladders in YAML files, and those that come with Remit."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from escalation_svc.ladder_format import LadderBody, parse
from remit_service import yaml_lines

SHIPPED = ("default",)


def read(text: str) -> LadderBody:
    """The ladder in a YAML text. Raises yaml_lines.FileError."""
    return yaml_lines.read(text, "ladder", parse)


@cache
def shipped(key: str) -> LadderBody:
    """A ladder that comes with Remit. Raises KeyError when there is none of that key."""
    if key not in SHIPPED:
        raise KeyError(key)
    return read(files("escalation_svc").joinpath("ladders", f"{key}.yaml").read_text("utf-8"))
