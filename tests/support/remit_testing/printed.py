"""Commands as the documents print them: indented lines and code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# A code span that begins with one of these is a command; `remit` alone is a name.
SPAN = re.compile(r"(?<!`)`((?:\.venv/bin/)?remit [^`]+|curl [^`]+|make [a-z][^`]*|python -m [^`]+)`")
BLOCK = re.compile(r"(?:^    \S.*\n?(?:^     +\S.*\n?)*)", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Printed:
    """A command and the document it stands in, relative to the repository."""

    document: str
    line: str

    @property
    def program(self) -> str:
        """`remit`, `curl`, `make` …; for an assignment its name."""
        words = [word for word in self.line.split() if "=" not in word.split("'")[0] or word.startswith("-")]
        return words[0].removeprefix(".venv/bin/") if words else self.line.partition("=")[0]


def documents() -> list[Path]:
    """README.md, deploy's and everything in docs but what is about the past."""
    return [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def printed(document: Path) -> Iterator[Printed]:
    """In order; without the comments behind them."""
    name = document.relative_to(ROOT).as_posix()
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    found = [(match.start(), match[0]) for match in BLOCK.finditer(text)]
    found += [(match.start(), match[1]) for match in SPAN.finditer(text)]
    for _, line in sorted(found):
        yield Printed(name, re.sub(r"\s{2,}#.*", "", re.sub(r"\\\n\s*", "", line)).strip())
