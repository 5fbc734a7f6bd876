"""Reading YAML so that every flaw has its line."""

from __future__ import annotations

from typing import Any

import pytest

from remit_service import yaml_lines
from remit_service.flaws import Flaw, FlawsError, refusal
from remit_service.yaml_lines import FileError


def as_it_is(tree: Any) -> Any:
    return tree


def test_plain_scalars_are_read_as_people_mean_them() -> None:
    text = "{at: 17:00, day: 2026-01-31, count: 12, code: 010, ratio: 0.5, empty: null, yes: true}"
    read = yaml_lines.read(text, "thing", as_it_is)
    assert read == {
        "at": "17:00", "day": "2026-01-31", "count": 12, "code": "010", "ratio": 0.5, "empty": None, True: True,
    }  # fmt: skip


def test_a_flaw_has_the_line_of_its_place_or_of_what_is_around_it() -> None:
    def parse(_: Any) -> None:
        raise FlawsError(
            [Flaw(("a", 1, "b"), "x", "wrong"), Flaw(("a", 1, "missing"), "y", "add it"), Flaw((), "z", "no")]
        )

    with pytest.raises(FileError) as refused:
        yaml_lines.read("# thing\na:\n  - b: 1\n  - c: 2\n    b: 3\n", "thing", parse)
    assert str(refused.value).splitlines() == [
        "line 5: a/1/b: wrong",
        "line 4: a/1/missing: add it",
        "line 2: thing: no",
    ]


def test_what_stood_there_is_said() -> None:
    def parse(tree: Any) -> None:
        raise FlawsError([Flaw((key,), "x", "wrong", value) for key, value in tree.items()])

    with pytest.raises(FileError) as refused:
        yaml_lines.read('a: seven\nb: true\nc: [1, x]\nd: ""\ne: "two\\nlines"\n', "thing", parse)
    assert str(refused.value).splitlines() == [
        "line 1: a: wrong (given: 'seven')",
        "line 2: b: wrong (given: true)",
        'line 3: c: wrong (given: [1,"x"])',
        "line 4: d: wrong",
        r"line 5: e: wrong (given: 'two\nlines')",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {c: 1,\n c: 2}\n", "line 3: b/c: stands on line 2 already"),
        ("a: [1", "line 1: thing: expected"),
        ("a: 1\n b: 2", "line 2: thing: "),
        ("x: " + "[" * 2000, "line 1: thing: "),
        ("a: \x00", "line 1: thing: not YAML"),
        ("a: " + "x" * yaml_lines.LONGEST_FILE, "line 1: thing: a thing file has at most 200000 characters"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(FileError) as refused:
        yaml_lines.read(text, "thing", as_it_is)
    assert str(refused.value).startswith(said)


def test_in_a_body_the_same_flaw_has_its_pointer() -> None:
    (error,) = refusal([Flaw(("a/b", 0), "x", "wrong", 7)]).body()["errors"]
    assert error == {"pointer": "/a~1b/0", "code": "x", "detail": "wrong", "value": 7}
