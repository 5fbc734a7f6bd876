"""What `remit why` and `remit plan` say: what was decided and which rungs were taken, and what is to come; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from remit_local.sentences import because, days, headline, moment, sentence
from remit_service.wording import counted

Row = Mapping[str, Any]

WILL = {
    "merged": "will go along with another",
    "suppressed": "will not be sent",
    "skipped": "will be passed over",
    "deferred": "will wait",
}


def history(decisions: Iterable[Row], cases: Iterable[Row], zone: str | None, on: date | None = None) -> list[str]:
    """Decisions and rungs in order of time; `on` is a day at the customer's place: rungs of no other."""
    told = [(one["at"], [headline(one, one["timezone"]), f"  {sentence(one)}"]) for one in decisions]
    for case in cases:
        told += [(rung["triggered_at"], [_taken(case, rung, zone)]) for rung in case["rungs"] if _on(rung, zone, on)]
    return [line for _, lines in sorted(told, key=lambda one: datetime.fromisoformat(one[0])) for line in lines]


def _on(rung: Row, zone: str | None, on: date | None) -> bool:
    local = datetime.fromisoformat(rung["triggered_at"]).astimezone(ZoneInfo(zone or "UTC"))
    return on is None or local.date() == on


def _taken(case: Row, rung: Row, zone: str | None) -> str:
    by = f", approved by {rung['approved_by']}" if rung["approved_by"] else ""
    facts = f"{days(rung['days_overdue'])} overdue after {counted(rung['reminders_sent'], 'reminder')}"
    return (
        f"{moment(rung['triggered_at'], zone)} · {case['invoice_number']} · rung {rung['key']} was taken{by}: {facts}."
    )


def ahead(plan: Row, zone: str | None) -> Iterator[str]:
    """What is to come for one invoice, from GET /v1/follow-ups/{invoice}/plan."""
    about = plan["follow_up"]
    policy = f"{about['policy_key']} v{about['policy_version']}"
    if about["ignored_policy_key"]:
        yield f"Policy {about['ignored_policy_key']} was asked for, but there is none: it is followed by {policy}."
    if about["under_review"]:
        yield f"It waits for a person, as it came in more than 180 days overdue: `remit release {about['number']}`."
    for step in plan["steps"]:
        if line := _step(step, zone):
            yield line
    if about["standing"] == "exhausted":
        yield f"No reminder is planned any more: every step of policy {policy} has had its end."


def _step(step: Row, zone: str | None) -> str | None:
    if step["state"] == "in-flight":
        return f"Step {step['step']} is being sent."
    goes = (
        f"goes {moment(step['at'], zone)} by {', '.join(step['reachable'])}, if nothing changes" if step["at"] else ""
    )
    if step["state"] == "planned":
        return f"Next: step {step['step']} {goes or 'has no day yet'}."
    if step["state"] == "waiting":
        return f"Next: step {step['step']} waits: {because(step)}." + (f" It {goes}." if goes else "")
    if step["foreseen"]:
        return f"Next: {_will(step, step['state'], zone)}"
    return None


def review_needed(count: int) -> str:
    """Of open invoices that came in more than 180 days overdue."""
    them = "it" if count == 1 else "them"
    overdue = f"{counted(count, 'open invoice')} came in more than 180 days overdue"
    return f"{overdue}, and nothing is sent about {them} before a person has looked"


def rungs_ahead(case: Row) -> Iterator[str]:
    """What comes next on the ladder, and what it waits for."""
    if case["status"] != "closed" and case["next_rung"] and (case["days_overdue"] or 0) > 0:
        waits = "; ".join(reason["text"] for reason in case["reasons"])
        yield f"Next rung: {case['next_rung']}" + (f" ({waits})." if waits else ".")


def foretold(skipped: Row) -> str:
    """A row of `skipped` of GET /v1/plans: what waits already, or when a step will not go and why; moments in UTC."""
    if skipped["standing"]:
        return sentence(skipped)
    until = skipped["until"]
    later = f" It is decided again at {moment(until, None)}." if until else ""
    return _will(skipped, skipped["outcome"], None) + later


def _will(step: Row, outcome: str, zone: str | None) -> str:
    return f"step {step['step']} {WILL[outcome]} on {moment(step['at'], zone)}: {because(step)}."
