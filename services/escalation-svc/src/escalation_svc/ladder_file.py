"""Ladders in YAML (or JSON, which is YAML): what is wrong is said with its line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from escalation_svc.ladder import Flaw, Path
from escalation_svc.ladder_format import LadderBody, LadderError, parse

SHIPPED = ("default",)
LONGEST_FILE = 200_000


@dataclass(frozen=True, slots=True)
class LineFlaw:
    """A flaw and the line of the file it stands on (from 1)."""

    line: int
    flaw: Flaw

    def __str__(self) -> str:
        where = "/".join(str(part) for part in self.flaw.path) or "ladder"
        return f"line {self.line}: {where}: {self.flaw.detail}"


class LadderFileError(ValueError):
    """A ladder file that cannot be used; the text names each line."""

    def __init__(self, found: list[LineFlaw]) -> None:
        super().__init__("\n".join(str(flaw) for flaw in found))
        self.flaws = found


def read(text: str) -> LadderBody:
    """The ladder in a YAML text. Raises LadderFileError."""
    if len(text) > LONGEST_FILE:
        raise LadderFileError(
            [LineFlaw(1, Flaw((), "too-long", f"a ladder file has at most {LONGEST_FILE} characters"))]
        )
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LadderFileError([LineFlaw(line, Flaw((), "yaml", error.problem or "not YAML"))]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LadderFileError([LineFlaw(1, Flaw((), "yaml", f"not YAML: {error}"))]) from None
    lines, doubled = _lines(node)
    if doubled:
        raise LadderFileError(doubled)
    try:
        return parse(tree)
    except LadderError as refused:
        raise LadderFileError([LineFlaw(_line(lines, flaw.path), flaw) for flaw in refused.flaws]) from None


@cache
def shipped(key: str) -> LadderBody:
    """A ladder that comes with Remit. Raises KeyError when there is none of that key."""
    if key not in SHIPPED:
        raise KeyError(key)
    return read(files("escalation_svc").joinpath("ladders", f"{key}.yaml").read_text("utf-8"))


def _line(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines(root: yaml.Node | None) -> tuple[dict[Path, int], list[LineFlaw]]:
    """Where every key and item stands, and keys that stand twice in one mapping (YAML would keep the last)."""
    lines: dict[Path, int] = {}
    doubled: list[LineFlaw] = []
    queue: list[tuple[Path, Any]] = [((), root)] if root is not None else []
    seen: set[int] = set()
    while queue:
        path, node = queue.pop()
        lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in seen:  # an alias, or a mapping that contains itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            queue += [((*path, index), item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                below: Path = (*path, str(key.value))
                line = key.start_mark.line + 1
                if below in lines:
                    doubled.append(LineFlaw(line, Flaw(below, "duplicate", f"stands on line {lines[below]} already")))
                lines[below] = line
                queue.append((below, value))
    return lines, doubled
