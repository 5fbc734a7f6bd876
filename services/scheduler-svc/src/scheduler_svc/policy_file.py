"""Policies in YAML files, and those that come with Remit."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from remit_service import yaml_lines
from remit_service.flaws import Flaw, FlawsError, of_validation
from scheduler_svc.policy import Policy

SHIPPED = ("business", "individual", "government", "intensive")


def read(text: str) -> Policy:
    """The policy in a YAML text. Raises yaml_lines.FileError."""
    return yaml_lines.read(text, "policy", parse)


@cache
def shipped(key: str) -> Policy:
    """A policy that comes with Remit. Raises KeyError when there is none of that key."""
    if key not in SHIPPED:
        raise KeyError(key)
    return read(files("scheduler_svc").joinpath("policies", f"{key}.yaml").read_text("utf-8"))


def parse(tree: Any) -> Policy:
    """A policy from a parsed file. Raises FlawsError with every flaw found."""
    if not isinstance(tree, dict):
        raise FlawsError([Flaw((), "not-a-policy", "give a mapping with `key`, `steps` and `window`")])
    if "rungs" in tree and "steps" not in tree:
        detail = "this is a ladder (it has `rungs`): give it with --ladder, or to `remit ladder save`"
        raise FlawsError([Flaw((), "not-a-policy", detail)])
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        raise FlawsError(of_validation(error)) from None
    if found := policy.flaws():
        raise FlawsError(found)
    return policy
