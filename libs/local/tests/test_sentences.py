"""Every rule of the decision log has a sentence, made of the inputs it looked at."""

from __future__ import annotations

from typing import Any

import pytest

from remit_local.sentences import RULES, headline, moment, sentence

ALL_RULES = [
    "sent",
    "harder-step",
    "before-issue",
    "too-late",
    "before-entry",
    "catch-up",
    "old-debt",
    "no-due-date",
    "paid",
    "void",
    "disputed",
    "escalated",
    "below-minimum",
    "no-channel",
    "undeliverable",
    "automation-off",
    "held",
    "promise",
    "payment-in-flight",
    "outside-window",
    "minimum-gap",
    "contact-cap",
    "review",
]


def decision(outcome: str, rule: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"at": "2026-03-02T08:00:00Z", "step": "second", "invoice_number": "R1"}
    return (
        base
        | {"policy_key": "business", "policy_version": 2, "outcome": outcome, "rule": rule, "inputs": inputs}
        | more
    )


def test_every_rule_is_known() -> None:
    assert sorted(RULES) == sorted(ALL_RULES)


@pytest.mark.parametrize("rule", [*ALL_RULES, "a-rule-of-tomorrow"])
@pytest.mark.parametrize("outcome", ["sent", "merged", "suppressed", "skipped", "deferred"])
def test_inputs_that_are_missing_do_not_stop_it(rule: str, outcome: str) -> None:
    assert sentence(decision(outcome, rule, {})).endswith(".")


@pytest.mark.parametrize(
    ("outcome", "rule", "inputs", "said"),
    [
        (
            "sent",
            "sent",
            {
                "due_date": "2026-02-21",
                "offset": 7,
                "planned_on": "2026-03-02",
                "shifted_from": "2026-02-28",
                "day_off": "sat",
                "channels": ["email", "sms"],
            },
            "Step second was sent: it is planned 7 days after the due date, Sat 2026-02-21; Sat 2026-02-28 is a "
            "Saturday, so it moved to Mon 2026-03-02; it went by email and sms.",
        ),
        (
            "suppressed",
            "paid",
            {"status": "paid", "balance_minor": 0, "on": "2026-03-01"},
            "Step second was not sent: the invoice was paid on Sun 2026-03-01.",
        ),
        (
            "deferred",
            "minimum-gap",
            {"minimum_gap_days": 3, "last_contact_on": "2026-03-01", "shared_address": False},
            "Step second waits: the last contact was on Sun 2026-03-01, and the next is 3 days later at the earliest.",
        ),
        (
            "suppressed",
            "below-minimum",
            {"currency": "KWD", "total_minor": 1500, "minimum_minor": 2500, "invoices": 1},
            "Step second was not sent: 1.500 KWD is asked for in all, and the policy leaves less than 2.500 KWD alone.",
        ),
        (
            "deferred",
            "outside-window",
            {"window": {"days": "business", "from": "09:00", "to": "17:00"}, "day_off": "Karfreitag"},
            "Step second waits: today is a day off (Karfreitag); messages go from 09:00 to 17:00 at the customer's "
            "place.",
        ),
        (
            "suppressed",
            "no-channel",
            {"channels": {"email": "no-address", "sms": "no-consent"}},
            "Step second was not sent: nobody can be reached: email (no address is known), sms (there is no consent).",
        ),
        (
            "suppressed",
            "undeliverable",
            {"tried": ["email"], "noted": {"sms": "not-allowed", "letter": "no-address"}},
            "Step second was not sent: every channel failed (email) and no other can be used: sms (no message of this "
            "kind goes by it), letter (no address is known).",
        ),
        ("deferred", "automation-off", {}, "Step second waits: automation is switched off."),
        (
            "deferred",
            "automation-off",
            {"replied_at": "2026-03-02T07:00:00Z", "planned_on": "2026-03-02"},
            "Step second waits: the customer wrote on Mon 2026-03-02 07:00 UTC, and nobody has answered yet.",
        ),
    ],
)
def test_sentences(outcome: str, rule: str, inputs: dict[str, Any], said: str) -> None:
    assert sentence(decision(outcome, rule, inputs)) == said


def test_when_it_is_decided_again_is_told_at_the_customers_place() -> None:
    row = decision("deferred", "held", {"held": "invoice", "reason": "talks"}, until="2026-03-04T08:00:00Z")
    assert sentence(row | {"timezone": "Europe/Berlin"}).endswith("decided again at Wed 2026-03-04 09:00 CET.")
    assert headline(row, "Europe/Berlin") == "Mon 2026-03-02 09:00 CET · R1 · policy business v2"
    assert moment("2026-03-04T08:00:00Z", None) == "Wed 2026-03-04 08:00 UTC"
