"""What a policy file may say, and what is refused with its line."""

from __future__ import annotations

import pytest

from remit_service.yaml_lines import FileError
from scheduler_svc.policy import EXAMPLE, Policy
from scheduler_svc.policy_file import SHIPPED, read, shipped

PLAIN = """\
key: plain
steps:
  - {key: courtesy,  offset: -7, tone: friendly, channels: [email]}
  - {key: day-after, offset: 1,  tone: neutral,  channels: [email]}
window:
  days: [mon, tue, wed, thu, fri, sat, sun]
  from: "09:00"
  to: "17:00"
  skip_holidays: false
consolidate: false
minimum_gap_days: 0
contact_cap: null
minimum_balance: {}
catch_up: collapse
entry: first
"""

TABLE = {  # domain-rules: offsets, window, gap, cap
    "business": ((-7, -1, 1, 7, 14, 30), ("09:00", "17:00"), 1, (3, 7)),
    "individual": ((-5, -2, 0, 1, 7, 14, 30), ("09:00", "19:00"), 1, (3, 7)),
    "government": ((-14, -7, 1, 15, 30, 45), ("09:00", "16:00"), 3, (2, 7)),
    "intensive": ((-14, -7, -3, -1, 0, 1, 3, 7, 10, 14, 21, 30), ("09:00", "17:00"), 1, (4, 7)),
}


@pytest.mark.parametrize("key", SHIPPED)
def test_shipped_policies_are_those_of_the_domain_rules(key: str) -> None:
    policy = shipped(key)
    offsets, hours, gap, cap = TABLE[key]
    assert tuple(step.offset for step in policy.steps) == offsets
    assert (f"{policy.window.opens:%H:%M}", f"{policy.window.until:%H:%M}") == hours
    assert (policy.minimum_gap_days, policy.window.days) == (gap, "business")
    assert policy.contact_cap is not None
    assert (policy.contact_cap.contacts, policy.contact_cap.days) == cap
    assert policy.consolidate
    assert policy.flaws() == []


def test_shipped_channels() -> None:
    channels = {key: {s.offset: [*map(str, s.channels)] for s in shipped(key).steps} for key in SHIPPED}
    assert channels["business"][7] == ["email", "sms"]
    assert channels["business"][30] == ["email", "sms", "letter"]
    assert all("sms" in on for offset, on in channels["individual"].items() if offset >= 1)
    assert not any("sms" in on for on in channels["government"].values())
    assert channels["government"][30] == ["email", "letter"]


def test_a_file_survives_reading_and_writing() -> None:
    policy = read(PLAIN)
    assert Policy.model_validate(policy.as_body()) == policy
    assert policy.as_body()["window"]["from"] == "09:00"
    assert policy.steps[0].template_key == "courtesy"
    assert Policy.model_validate(EXAMPLE).flaws() == []


def test_unquoted_times_are_times() -> None:
    assert read(PLAIN.replace('"17:00"', "17:00").replace('"09:00"', "09:00")) == read(PLAIN)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("offset: 1, ", "offset: -9,", 4, "must be greater than -7"),
        ("offset: 1, ", "offset: -7,", 4, "must be greater than -7"),
        ("offset: 1, ", "offset: 1.5,", 4, "whole number"),
        ("key: day-after", "key: courtesy", 4, "stands twice"),
        ("tone: neutral", "tone: shouting", 4, "'friendly', 'neutral', 'firm' or 'final'"),
        ("tone: neutral,  channels: [email]", "tone: neutral,  channels: [fax]", 4, "'email', 'sms' or 'letter'"),
        ("tone: neutral,  channels: [email]", "tone: neutral,  channels: []", 4, "at least 1 item"),
        ("tone: neutral,  channels: [email]", "tone: neutral,  channels: [email, email]", 4, "named once"),
        ('to: "17:00"', 'to: "09:00"', 8, "the window is empty"),
        ('to: "17:00"', 'to: "24:00"', 8, "23:59"),
        ("days: [mon, tue, wed, thu, fri, sat, sun]", "days: []", 6, "at least one"),
        ("days: [mon, tue, wed, thu, fri, sat, sun]", "days: [mon, someday]", 6, "at least one"),
        ("days: [mon, tue, wed, thu, fri, sat, sun]", "days: [mon, mon]", 6, "named once"),
        ("minimum_gap_days: 0", "minimum_gap_days: -1", 11, "greater than or equal to 0"),
        ("contact_cap: null", "contact_cap: {contacts: 0, days: 7}", 12, "greater than or equal to 1"),
        ("contact_cap: null", "contact_cap: {contacts: 1, days: 0}", 12, "greater than or equal to 1"),
        ("minimum_balance: {}", "minimum_balance: {EUR: -1}", 13, "greater than or equal to 0"),
        ("minimum_balance: {}", "minimum_balance: {EURO: 1}", 13, "ISO 4217"),
        ("catch_up: collapse", "catch_up: whenever", 14, "'collapse', 'skip' or 'shift'"),
        ("entry: first", "entry: last", 15, "'first' or 'by-age'"),
        ("entry: first", "entry: first\nspeed: fast", 16, "no such field"),
        ("entry: first", "entry: first\nentry: by-age", 16, "stands on line 15 already"),
        ("entry: first", "entry: [first", 16, "expected"),
    ],
)
def test_what_cannot_work_is_refused_with_its_line(old: str, new: str, line: int, says: str) -> None:
    assert old in PLAIN
    with pytest.raises(FileError) as refused:
        read(PLAIN.replace(old, new))
    assert any(one.startswith(f"line {line}: ") and says in one for one in str(refused.value).splitlines()), str(
        refused.value
    )


@pytest.mark.parametrize("text", ["", "- 1", "just words", "key: x\nsteps: []\nwindow: {from: '09:00', to: '10:00'}"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(FileError):
        read(text)


def test_every_flaw_says_field_value_and_way_out() -> None:
    text = """\
key: My Policy
steps:
  - {key: a, offset: seven, tone: rude, channels: [fax]}
consolidated: true
"""
    with pytest.raises(FileError) as refused:
        read(text)
    assert str(refused.value).splitlines() == [
        "line 1: key: Write lower-case letters, digits and dashes, at most 40, as day-after. (given: 'My Policy')",
        "line 3: steps/0/offset: This must be a whole number. (given: 'seven')",
        "line 3: steps/0/tone: This must be 'friendly', 'neutral', 'firm' or 'final'. (given: 'rude')",
        "line 3: steps/0/channels/0: This must be 'email', 'sms' or 'letter'. (given: 'fax')",
        "line 1: window: This field is required; add it.",
        "line 4: consolidated: There is no such field here; remove it or check its spelling. (given: true)",
    ]


def test_a_ladder_is_known_as_one() -> None:
    with pytest.raises(FileError) as refused:
        read("key: default\nrungs: []\n")
    assert (
        str(refused.value)
        == "line 1: policy: this is a ladder (it has `rungs`): give it with --ladder, or to `remit ladder save`"
    )
