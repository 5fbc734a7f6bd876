"""Files in YAML (or JSON, which is YAML): what is wrong with one is said with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic_core import to_json

from remit_service.flaws import Flaw, FlawsError, Path
from remit_service.problems import shown

LONGEST_FILE = 200_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LineFlaw:
    """A flaw and the line of the file it stands on (from 1)."""

    line: int
    flaw: Flaw


class FileError(ValueError):
    """A file that cannot be used; the text names each line."""

    def __init__(self, what: str, found: Sequence[LineFlaw]) -> None:
        super().__init__("\n".join(_said(what, one) for one in found))
        self.found = found


class _Loader(yaml.SafeLoader):
    """Safe, and without YAML 1.1's dates and base-60 numbers: an unquoted 17:00 stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, re.compile(r"^[-+]?(0|[1-9]\d*)$") if tag == "tag:yaml.org,2002:int" else pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str, what: str, parse: Callable[[Any], T]) -> T:
    """What `parse`, which may raise FlawsError, makes of a text; `what` it is for people. Raises FileError."""
    if len(text) > LONGEST_FILE:
        raise _refused(what, 1, "too-long", f"a {what} file has at most {LONGEST_FILE} characters")
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _refused(what, line, "yaml", error.problem or "not YAML") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _refused(what, 1, "yaml", f"not YAML: {error}") from None
    lines, doubled = _lines(node)
    if doubled:
        raise FileError(what, doubled)
    try:
        return parse(tree)
    except FlawsError as refused:
        raise FileError(what, [LineFlaw(_line(lines, flaw.path), flaw) for flaw in refused.flaws]) from None


def _said(what: str, one: LineFlaw) -> str:
    where = "/".join(str(part) for part in one.flaw.path) or what
    return f"line {one.line}: {where}: {one.flaw.detail}{_given(one.flaw.value)}"


def _given(value: Any) -> str:
    """What stood there, as people write it in the file; nothing where it is empty."""
    if value in (None, "", [], {}):
        return ""
    short = shown(value)
    return f" (given: {short!r})" if isinstance(short, str) else f" (given: {to_json(short).decode()})"


def _refused(what: str, line: int, code: str, detail: str) -> FileError:
    return FileError(what, [LineFlaw(line, Flaw((), code, detail))])


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
