"""Rules and bodies by which a reminder is due the moment its invoice arrives, whatever the hour and the day."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from remit_testing.api import Api
from remit_testing.installations import SELLER, zone_at_noon

STEP = "reminder"
AMOUNT_MINOR = 11_900
OPEN_FOR = timedelta(minutes=5)


def now() -> datetime:
    return datetime.now(UTC)


class AtOnce:
    """Customers at a place where it is about noon now, each with one invoice.

    `sms_every`: every so-manieth is an authority, which is reminded by SMS; 0: none is.
    """

    def __init__(self, started: datetime, *, sms_every: int = 0) -> None:
        self._sms_every = sms_every
        self.zone = zone_at_noon(started)
        self.today = started.astimezone(ZoneInfo(self.zone)).date()
        self._opened = _opened(started).astimezone(ZoneInfo(self.zone))
        self._numbers = itertools.count(1)

    @property
    def policy(self) -> dict[str, Any]:
        """One reminder the day after the due date, every day until midnight."""
        return {
            "key": "at-once",
            "steps": [{"key": STEP, "offset": 1, "tone": "neutral", "channels": ["email"], "template": "second"}],
            "window": {
                "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "from": f"{self._opened:%H:%M}",
                "to": "23:59",
                "skip_holidays": False,
            },
            "minimum_gap_days": 0,
            "contact_cap": None,
        }

    async def rules(self, api: Api) -> None:
        """The policy for everyone, a rung that asks for approval, and sending for real."""
        await api.known()
        by_sms = self.policy | {"key": "by-sms"}
        by_sms["steps"][0]["channels"] = ["sms"]
        ladder = {"rungs": [{"key": "call", "action": "task", "days_overdue": 1, "approval": True}]}
        await api.post("scheduler-svc", "/v1/policies/at-once/versions", self.policy, assign_all="true")
        if self._sms_every:
            await api.post("scheduler-svc", "/v1/policies/by-sms/versions", by_sms, assign="government")
        await api.post("escalation-svc", "/v1/ladders/call/versions", ladder, assign_all="true")
        live = {"on": True, "seller_name": SELLER["name"], "by": "Mara Lind"}
        await api.put("notifier-svc", "/v1/live-mode", live)

    async def overdue(self, api: Api, count: int) -> dict[str, str]:
        """Id and number of invoices due yesterday: a reminder each, now."""
        yesterday = self.today - timedelta(days=1)
        return await self._posted(api, count, yesterday - timedelta(days=9), yesterday)

    async def fresh(self, api: Api, count: int) -> dict[str, str]:
        """Id and number of invoices issued today: mailed themselves, now."""
        return await self._posted(api, count, self.today, self.today + timedelta(days=30))

    async def _posted(self, api: Api, count: int, issued: date, due: date) -> dict[str, str]:
        numbers = [f"R-{next(self._numbers):05}" for _ in range(count)]
        customers = {"customers": [self._customer(number) for number in numbers]}
        await api.post("invoice-svc", "/v1/customers/batch", customers)
        invoices = {"invoices": [_invoice(number, issued, due) for number in numbers]}
        answer = await api.post("invoice-svc", "/v1/invoices/batch", invoices)
        refused = [one["problem"] for one in answer["results"] if one.get("problem")]
        assert not refused, refused
        return {one["id"]: number for one, number in zip(answer["results"], numbers, strict=True)}

    def _customer(self, number: str) -> dict[str, Any]:
        count = int(number.removeprefix("R-"))
        texted = {"profile": "government", "phone": f"+49176{count:08}", "sms_consent": True}
        return {
            "external_id": f"C-{number}",
            "name": f"Customer of {number}",
            "profile": "business",
            "country": "DE",
            "timezone": self.zone,
            "email": address_of(number),
        } | (texted if self._sms_every and count % self._sms_every == 0 else {})


def address_of(number: str) -> str:
    """The e-mail address of the customer of an invoice."""
    return f"{number.lower()}@customers.example"


def rungs_settle_seconds(started: datetime, after: float) -> float:
    """RUNGS_SETTLE_SECONDS with which rungs are looked at `after` seconds from `started`."""
    return (started - _opened(started)).total_seconds() + after


def _opened(started: datetime) -> datetime:
    """When the window opened; policies know hours and minutes only."""
    return (started - OPEN_FOR).replace(second=0, microsecond=0)


def _invoice(number: str, issued: date, due: date) -> dict[str, Any]:
    return {
        "customer_external_id": f"C-{number}",
        "number": number,
        "issue_date": issued.isoformat(),
        "due_date": due.isoformat(),
        "amount_minor": AMOUNT_MINOR,
        "currency": "EUR",
    }
