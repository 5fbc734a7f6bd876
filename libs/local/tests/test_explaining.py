"""What `why` and `plan` say of the past, in order of time, and of what is to come, in the future tense."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from remit_local.explaining import ahead, foretold, history, review_needed, rungs_ahead

BERLIN = "Europe/Berlin"
HELD = {"held": "invoice", "reason": "talks"}
UNREACHABLE = {"channels": {"email": "no-address"}}


def step(state: str, rule: str | None = None, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    base = {"step": "second", "state": state, "rule": rule, "inputs": inputs or {}, "at": None, "foreseen": True}
    return base | {"reachable": ["email"]} | more


def plan(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {"number": "R1", "policy_key": "business", "policy_version": 1, "standing": "following"}
    return {"steps": steps, "follow_up": about | {"ignored_policy_key": None, "under_review": False} | more}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            step("planned", at="2026-03-09T08:00:00Z"),
            ["Next: step second goes Mon 2026-03-09 09:00 CET by email, if nothing changes."],
        ),
        (step("planned"), ["Next: step second has no day yet."]),
        (
            step("waiting", "held", HELD, foreseen=False),
            ["Next: step second waits: the invoice is on hold until it is released (talks)."],
        ),
        (
            step("waiting", "held", HELD, at="2026-03-09T08:00:00Z"),
            [
                "Next: step second waits: the invoice is on hold until it is released (talks). "
                "It goes Mon 2026-03-09 09:00 CET by email, if nothing changes."
            ],
        ),
        (
            step("suppressed", "no-channel", UNREACHABLE, at="2026-03-09T08:00:00Z", reachable=[]),
            [
                "Next: step second will not be sent on Mon 2026-03-09 09:00 CET: nobody can be reached: "
                "email (no address is known)."
            ],
        ),
        (step("in-flight", foreseen=False), ["Step second is being sent."]),
        (step("suppressed", "paid", foreseen=False), []),
        (step("never", foreseen=False), []),
    ],
)
def test_what_is_to_come_has_its_reason(one: dict[str, Any], said: list[str]) -> None:
    assert list(ahead(plan(one), BERLIN)) == said


def test_what_stands_above_the_steps() -> None:
    assert list(ahead(plan(ignored_policy_key="nope"), None)) == [
        "Policy nope was asked for, but there is none: it is followed by business v1."
    ]
    assert list(ahead(plan(under_review=True), None)) == [
        "It waits for a person, as it came in more than 180 days overdue: `remit release R1`."
    ]
    assert list(ahead(plan(standing="exhausted"), None)) == [
        "No reminder is planned any more: every step of policy business v1 has had its end."
    ]


def test_rungs_stand_between_the_steps_by_their_time() -> None:
    sent = {
        "invoice_number": "R1", "policy_key": "business", "policy_version": 1, "timezone": BERLIN, "step": "second",
        "outcome": "sent", "rule": "sent", "inputs": {"channels": ["email"]}, "until": None,
    }  # fmt: skip
    rung = {"key": "account-manager", "approved_by": None, "days_overdue": 14, "reminders_sent": 1}
    case = {"invoice_number": "R1", "rungs": [rung | {"triggered_at": "2026-02-16T09:00:00Z"}]}
    decisions = [sent | {"at": "2026-02-09T08:00:00Z"}, sent | {"at": "2026-03-04T08:00:00Z"}]
    lines = history(decisions, [case], BERLIN)
    assert (
        lines[2] == "Mon 2026-02-16 10:00 CET · R1 · rung account-manager was taken: 14 days overdue after 1 reminder."
    )
    assert (lines[0][:14], lines[3][:14]) == ("Mon 2026-02-09", "Wed 2026-03-04")
    assert history([], [case], BERLIN, date(2026, 2, 17)) == []
    assert len(history([], [case], BERLIN, date(2026, 2, 16))) == 1


def test_a_note_of_the_plan_is_about_a_day_to_come() -> None:
    skipped = {"step": "second", "outcome": "suppressed", "rule": "no-channel", "inputs": UNREACHABLE, "until": None}
    skipped |= {"at": "2026-03-09T08:00:00Z", "standing": False}
    assert foretold(skipped) == (
        "step second will not be sent on Mon 2026-03-09 08:00 UTC: nobody can be reached: email (no address is known)."
    )
    waits = skipped | {"outcome": "deferred", "rule": "held", "inputs": HELD, "until": "2026-03-10T08:00:00Z"}
    assert foretold(waits).startswith("step second will wait on Mon 2026-03-09 08:00 UTC: the invoice is on hold")
    assert foretold(waits).endswith(" It is decided again at Tue 2026-03-10 08:00 UTC.")
    assert foretold(waits | {"standing": True}).startswith("Step second waits: the invoice is on hold")


def test_the_next_rung_and_what_it_waits_for() -> None:
    case = {"status": "open", "next_rung": "legal", "days_overdue": 3, "reasons": [{"text": "a"}, {"text": "b"}]}
    assert list(rungs_ahead(case)) == ["Next rung: legal (a; b)."]
    assert list(rungs_ahead(case | {"days_overdue": 0})) == []


def test_one_and_more() -> None:
    assert review_needed(1).startswith(
        "1 open invoice came in more than 180 days overdue, and nothing is sent about it"
    )
    assert review_needed(2).startswith("2 open invoices came in")
