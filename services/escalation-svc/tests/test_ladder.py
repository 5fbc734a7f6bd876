"""The shipped ladder, and ladders that cannot work: each refused with the line or pointer that says where."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from escalation_svc.ladder import Ladder
from escalation_svc.ladder_file import read, shipped
from escalation_svc.ladder_format import EXAMPLE, check, parse
from remit_service.flaws import FlawsError
from remit_service.yaml_lines import FileError

TASK = {"key": "call", "action": "task", "days_overdue": 14, "reminders": 2}
DEMAND = {"key": "demand", "action": "formal_demand", "days_overdue": 30, "reminders": 3, "deadline_days": 10}
LEGAL = {"key": "legal", "action": "legal", "days_overdue": 90}


def default() -> Ladder:
    return shipped("default").ladder()


def test_the_shipped_ladder_is_the_table_of_the_domain_rules() -> None:
    rungs = [
        (
            r.key,
            r.action,
            r.when.days_overdue,
            r.when.reminders,
            r.when.days_since_contact,
            r.when.days_since_demand,
            r.approval,
        )
        for r in default().rungs
    ]
    assert rungs == [
        ("account-manager", "task", 14, 2, 0, None, False),
        ("formal-demand", "formal_demand", 30, 3, 5, None, True),
        ("suspension", "service_suspension", 45, 0, 0, 10, False),
        ("collections-agency", "agency", 60, 0, 0, 14, True),
        ("legal", "legal", 90, 0, 0, None, True),
    ]
    assert [r.key for r in default().rungs if r.stops_chasing] == ["collections-agency", "legal"]


def test_a_profile_overrides_only_what_it_names() -> None:
    demand = default().rung("formal-demand")
    assert demand
    government = demand.conditions("government")
    assert (government.days_overdue, government.reminders, government.days_since_contact) == (50, 3, 5)
    assert demand.conditions("business").days_overdue == 30
    assert demand.needs_approval("government")


def test_the_example_of_the_api_is_a_ladder() -> None:
    assert [r.key for r in parse(EXAMPLE, "default").ladder("default").rungs][1] == "formal-demand"


def refused(rungs: list[dict[str, Any]], saved_as: str | None = None, **top: Any) -> list[tuple[str, str]]:
    with pytest.raises(FlawsError) as caught:
        parse({"rungs": rungs, **top}, saved_as)
    return [(flaw.pointer, flaw.code) for flaw in caught.value.flaws]


@pytest.mark.parametrize(
    ("rungs", "expected"),
    [
        ([], [("/rungs", "empty")]),
        ([TASK, {**DEMAND, "key": "call"}], [("/rungs/1/key", "duplicate")]),
        ([{**TASK, "days_overdue": 40}, DEMAND], [("/rungs/1/days_overdue", "unsorted")]),
        ([{**TASK, "action": "shout"}], [("/rungs/0/action", "unknown-action")]),
        ([{**DEMAND, "reminders": 2}], [("/rungs/0/reminders", "too-few-reminders")]),
        (
            [{**DEMAND, "profiles": {"government": {"reminders": 1}}}],
            [("/rungs/0/profiles/government/reminders", "too-few-reminders")],
        ),
        ([LEGAL], [("/rungs/0/action", "demand-bypassed")]),
        ([{**LEGAL, "days_overdue": 20}, DEMAND], [("/rungs/0/action", "demand-bypassed")]),
        ([{**LEGAL, "action": "agency", "days_overdue": 20}, DEMAND], [("/rungs/0/action", "demand-bypassed")]),
        ([{**LEGAL, "action": "service_suspension"}], [("/rungs/0/action", "demand-bypassed")]),
        ([{**TASK, "days_since_demand": 3}, DEMAND], [("/rungs/0/days_since_demand", "no-demand")]),
        ([{**DEMAND, "days_since_demand": 3}], [("/rungs/0/days_since_demand", "no-demand")]),
        ([DEMAND, {**DEMAND, "key": "again"}], [("/rungs/1/action", "second-demand")]),
        ([{k: v for k, v in DEMAND.items() if k != "deadline_days"}], [("/rungs/0/deadline_days", "required")]),
        ([{**TASK, "deadline_days": 3}], [("/rungs/0/deadline_days", "no-demand")]),
        ([{**TASK, "profiles": {"martian": {"reminders": 1}}}], [("/rungs/0/profiles/martian", "unknown-profile")]),
        (
            [{**TASK, "days_overdue": 20}, {**DEMAND, "profiles": {"individual": {"days_overdue": 10}}}],
            [("/rungs/1/profiles/individual/days_overdue", "unsorted")],
        ),
    ],
)
def test_a_ladder_that_cannot_work_is_refused(rungs: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert refused(rungs) == expected


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"days_overdue": -1}, "/rungs/0/days_overdue"),
        ({"days_overdue": "14"}, "/rungs/0/days_overdue"),
        ({"days_overdue": True}, "/rungs/0/days_overdue"),
        ({"reminders": 2.5}, "/rungs/0/reminders"),
        ({"key": "Call Them"}, "/rungs/0/key"),
        ({"minimum_balance": {"EURO": 1}}, "/rungs/0/minimum_balance/EURO/[key]"),
        ({"minimum_balance": {"EUR": -1}}, "/rungs/0/minimum_balance/EUR"),
        ({"remainders": 3}, "/rungs/0/remainders"),
        ({"profiles": {"business": {"action": "task"}}}, "/rungs/0/profiles/business/action"),
    ],
)
def test_a_malformed_field_is_refused_where_it_stands(change: dict[str, Any], pointer: str) -> None:
    assert [at for at, _ in refused([{**TASK, **change}])] == [pointer]


def test_a_ladder_saved_under_another_key_is_refused() -> None:
    assert refused([TASK], "mine", key="yours") == [("/key", "other-key")]


def test_a_later_rung_of_fewer_days_is_fine_where_a_profile_made_the_earlier_one_wait() -> None:
    """The shipped ladder itself: government waits 50 days for the demand, suspension stands at 45."""
    body = shipped("default")
    check(body)
    assert body.ladder().rungs[2].conditions("government").days_overdue == 45


def file_error(text: str) -> list[str]:
    with pytest.raises(FileError) as caught:
        read(textwrap.dedent(text))
    return str(caught.value).splitlines()


def test_a_file_is_refused_with_the_line_of_each_flaw() -> None:
    lines = file_error("""\
        # a comment
        key: hasty
        rungs:
          - {key: call, action: task, days_overdue: 14}
          - key: demand
            action: formal_demand
            days_overdue: 10
            reminders: 2
            deadline_days: 10
          - {key: demand, action: boil, days_overdue: 90}
        """)
    assert [line.split(": ")[0:2] for line in lines] == [
        ["line 10", "rungs/2/key"],
        ["line 7", "rungs/1/days_overdue"],
        ["line 8", "rungs/1/reminders"],
        ["line 10", "rungs/2/action"],
    ]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("key: x\nrungs: []\n", "line 2: rungs: a ladder needs at least one rung"),
        ("key: x\nrungs:\n  - {key: a, action: task}\n", "line 3: rungs/0/days_overdue: This field is required"),
        ("key: x\nkey: y\nrungs: []\n", "line 2: key: stands on line 1 already"),
        ("rungs:\n  - key: a\n   bad\n", "line 3: "),
        ("[1, 2]", "line 1: ladder: give a mapping with `key` and `rungs`"),
        ("", "line 1: ladder: give a mapping with `key` and `rungs`"),
        ("&a {rungs: *a}", "line 1: rungs/rungs/"),
        ("x: " + "[" * 2000, "line 1: "),
        ("a: \x00", "line 1: "),
    ],
)
def test_a_file_that_is_no_ladder_is_refused_in_one_line_each(text: str, first: str) -> None:
    assert file_error(text)[0].startswith(first)


def test_what_is_stored_reads_back_as_the_same_ladder() -> None:
    body = shipped("default")
    assert parse(body.json_body(), "default").ladder("default", 3) == body.ladder("default", 3)


def test_a_policy_is_known_as_one() -> None:
    with pytest.raises(FileError) as refused:
        read("key: mine\nsteps: []\nwindow: {}\nconsolidate: true\n")
    assert (
        str(refused.value)
        == "line 1: ladder: this is a policy (it has `steps`): give it with --policy, or to `remit policy save`"
    )
