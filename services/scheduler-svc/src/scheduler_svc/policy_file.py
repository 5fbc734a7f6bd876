"""Policies in YAML (or JSON, which is YAML): what is wrong is said with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from scheduler_svc.policy import Fault, Policy

SHIPPED = ("business", "individual", "government", "intensive")
LONGEST_FILE = 200_000

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LineFault:
    """A fault and the line of the file it stands on (from 1)."""

    line: int
    fault: Fault

    def __str__(self) -> str:
        where = "/".join(str(part) for part in self.fault.path) or "policy"
        return f"line {self.line}: {where}: {self.fault.detail}"


class PolicyFileError(ValueError):
    """A policy file that cannot be used; the text names each line."""

    def __init__(self, faults: list[LineFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class _Loader(yaml.SafeLoader):
    """Safe, and without YAML 1.1's base-60 numbers: an unquoted 17:00 stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, re.compile(r"^[-+]?(0|[1-9]\d*)$") if tag == "tag:yaml.org,2002:int" else pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> Policy:
    """The policy in a YAML text. Raises PolicyFileError."""
    if len(text) > LONGEST_FILE:
        raise _refused(1, Fault((), "too-long", f"a policy file has at most {LONGEST_FILE} characters"))
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _refused(line, Fault((), "yaml", error.problem or "not YAML")) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _refused(1, Fault((), "yaml", f"not YAML: {error}")) from None
    lines, doubled = _lines(node)
    faults = doubled or _faults(tree)
    if faults:
        raise PolicyFileError([LineFault(_line(lines, fault.path), fault) for fault in faults])
    return Policy.model_validate(tree)


@cache
def shipped(key: str) -> Policy:
    """A policy that comes with Remit. Raises KeyError when there is none of that key."""
    if key not in SHIPPED:
        raise KeyError(key)
    return read(files("scheduler_svc").joinpath("policies", f"{key}.yaml").read_text("utf-8"))


def _refused(line: int, fault: Fault) -> PolicyFileError:
    return PolicyFileError([LineFault(line, fault)])


def _faults(tree: Any) -> list[Fault]:
    if not isinstance(tree, dict):
        return [Fault((), "not-a-policy", "give a mapping with `key`, `steps` and `window`")]
    try:
        return Policy.model_validate(tree).faults()
    except ValidationError as error:
        found = error.errors(include_url=False)
        return [Fault(tuple(one["loc"]), one["type"], one["msg"], one.get("input")) for one in found]


def _line(lines: dict[_Path, int], path: _Path) -> int:
    """The line of a path, or of the nearest thing around it that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines(root: yaml.Node | None) -> tuple[dict[_Path, int], list[Fault]]:
    """Where every key and item stands, and keys that stand twice in one mapping (YAML would keep the last)."""
    lines: dict[_Path, int] = {}
    doubled: list[Fault] = []
    queue: list[tuple[_Path, yaml.Node]] = [((), root)] if root is not None else []
    seen: set[int] = set()
    while queue:
        path, node = queue.pop()
        lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in seen:  # an alias, or a mapping that contains itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            queue += [((*path, n), item) for n, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                below: _Path = (*path, name)
                lines[below] = key.start_mark.line + 1
                if name in keys:
                    doubled.append(Fault(below, "duplicate", f"{name!r} stands twice; keep one"))
                keys.add(name)
                queue.append((below, value))
    return lines, doubled
