"""Why nothing leaves at this moment: the hours and days of the customer whose turn is next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from remit_local.client import Remit
from remit_local.sentences import day_off, moment
from scheduler_svc.days import Days
from scheduler_svc.policy import WindowSpec

SOON = timedelta(minutes=5)


def why_not_now(remit: Remit, planned: dict[str, Any], now: datetime) -> str | None:
    """A sentence about the first message of GET /v1/plans; None when it leaves within minutes."""
    if datetime.fromisoformat(planned["at"]) <= now + SOON:
        return None
    policy = f"/v1/policies/{planned['policy_key']}/versions/{planned['policy_version']}"
    window = WindowSpec.model_validate(remit.get("scheduler-svc", policy)["policy"]["window"])
    customer = remit.get("invoice-svc", f"/v1/customers/{planned['customer_id']}")
    days = Days(window, customer["country"], customer["timezone"], customer["profile"])
    then = f"The next message leaves {moment(planned['at'], days.zones[0])}, to {planned['customer_name']}."
    closed = closed_because(days, now)
    if closed is None:
        return f"No reminder is due right now. {then}"
    on = "working days" if days.window.days == "business" else ", ".join(days.window.days)
    hours = f"writes on {on} from {days.window.opens:%H:%M} to {days.window.until:%H:%M}"
    return f"Nothing may be sent right now: {closed} there; policy {planned['policy_key']} {hours}. {then}"


def closed_because(days: Days, now: datetime) -> str | None:
    """`it is a Sunday (Sun 2026-11-22 19:40 CET)`; None while the window is open."""
    if days.is_open(now):
        return None
    local = now.astimezone(ZoneInfo(days.zones[0]))
    off = days.why_off(local.date())
    why = day_off(off) if off else "before hours" if local.time() < days.window.opens else "after hours"
    return f"it is {why} ({moment(now.isoformat(), days.zones[0])})"
