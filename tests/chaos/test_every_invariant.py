"""Every invariant that concerns what exists has tests that print its line, and its row in the table here."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from remit_testing.printed import ROOT

# 27 and 30 concern what is not built yet.
THERE = {*range(1, 27), 28, 29, *range(31, 35)}
PRINTS = re.compile(r"\binvariant\(\s*(\d+),")
ROW = re.compile(r"^\| ([\d, ]+) \| .* \|$", re.MULTILINE)
NAMED = re.compile(r"`((?:[\w-]+/)*test_[\w{},]+\.py)`")


def test_each_has_a_test_that_prints_its_line() -> None:
    printed = set[int]()
    for path in chain.from_iterable(ROOT.glob(f"{where}/**/test_*.py") for where in ("tests", "libs/*", "services/*")):
        printed |= set(map(int, PRINTS.findall(path.read_text("utf-8"))))
    assert printed == THERE


def test_each_has_its_row_and_the_tests_it_names_are_there() -> None:
    table = Path(__file__).with_name("README.md").read_text("utf-8")
    rows = [row for row in ROW.finditer(table) if row[1].strip()]
    assert {int(number) for row in rows for number in row[1].split(",")} == THERE
    for row in rows:
        for name in map(_written_out, NAMED.findall(row[0])):
            for path in name:
                assert (ROOT / path if "/" in path else Path(__file__).with_name(path)).exists(), path


def _written_out(name: str) -> list[str]:
    """`a_{b,c}.py` is two."""
    head, brace, rest = name.partition("{")
    if not brace:
        return [name]
    middle, _, tail = rest.partition("}")
    return [f"{head}{one}{tail}" for one in middle.split(",")]
