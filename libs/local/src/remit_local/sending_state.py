"""Where messages go, what waits to leave, and what the seller lacks, asked of notifier-svc and scheduler-svc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from remit_local.client import Remit
from remit_service.wording import counted

HELD_UNTIL_LIVE = "live-off"


@dataclass(frozen=True)
class Leaving:
    """What leaves until midnight at this desk once live sending is on; a message counts once per channel."""

    planned: int
    waiting: int
    people: int


def leaving_today(remit: Remit, now: datetime) -> Leaving:
    """Planned reminders, and what was decided already: held until live, or to be handed over later today."""
    here = now.astimezone()
    midnight = datetime.combine(here.date() + timedelta(days=1), time(), here.tzinfo).astimezone(UTC)
    planned = list(remit.pages("scheduler-svc", "/v1/plans", until=midnight.isoformat()))
    pending = [
        one
        for one in remit.pages("notifier-svc", "/v1/deliveries", status="pending")
        if one["held_by"] == HELD_UNTIL_LIVE
        or (one["next_attempt_at"] and datetime.fromisoformat(one["next_attempt_at"]) < midnight)
    ]
    people = {one["customer_id"] for one in (*planned, *pending)}
    return Leaving(sum(len(one["channels"]) for one in planned), len(pending), len(people))


def sending_state(remit: Remit) -> Iterator[str]:
    """Lines for somebody who looks at the system: nothing where all goes to the mailbox of a seller who is ready."""
    state = remit.get("notifier-svc", "/v1/live-mode")
    held = [one for one in remit.pages("notifier-svc", "/v1/deliveries", status="pending") if one["held_by"]]
    if state["mode"] == "live":
        yield (
            "DELIVERY_MODE is live: messages leave for real."
            if state["sends_for_real"]
            else "DELIVERY_MODE is live, but nothing leaves before `remit live on`."
        )
    elif state["mode"] != "mailbox":
        yield f"DELIVERY_MODE is {state['mode']}: some of it leaves by SMTP and SMS, see docs/operations/sending.md."
    if held:
        reasons = ", ".join(sorted({str(one["held_by"]) for one in held}))
        yield f"Held back: {counted(len(held), 'message')} ({reasons})."
    if state["missing"]:
        yield f"The seller lacks {', '.join(state['missing'])}: `remit seller set` adds it."
