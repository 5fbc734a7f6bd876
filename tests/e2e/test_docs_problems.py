"""docs/api/problems.md is what the code says, and the code says it where it can be read off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from remit_testing.printed import ROOT

from remit_local import problem_types

LIST = ROOT / "docs" / "api" / "problems.md"
# Another way of looking for names than the one under test.
WRITTEN_OUT = re.compile(r"(?<![.\w])(?:Problem|conflict)\(\s*\"([a-z-]+)\"|urn:remit:problem:([a-z-]+)")


def test_the_list_is_up_to_date() -> None:
    assert LIST.read_text(encoding="utf-8") == problem_types.document(), "run `make schemas`"


def test_nothing_is_missing() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \| [45]\d\d \|", LIST.read_text(encoding="utf-8"), re.MULTILINE))
    sources = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("src/**/*.py")]
    named = {name for path in sources for pair in WRITTEN_OUT.findall(path.read_text()) for name in pair if name}
    assert len(named) > 40
    assert named <= listed


def test_every_row_says_something() -> None:
    rows = [line.split(" | ") for line in LIST.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert {row[0] for row in rows if len(row[3]) < 30} <= {"| `not-ready`"}, "its detail lists what is not ready"


def test_a_problem_that_cannot_be_read_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text('def refuse(name):\n    raise Problem(name, 409, "Odd", "It is odd.")\n')
    with pytest.raises(problem_types.UnreadableError, match=r"odd\.py:2: write out the problem's name"):
        list(problem_types.Module(file, "all").raised())
