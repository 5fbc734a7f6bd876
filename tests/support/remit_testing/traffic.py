"""Invoices, payments and approvals that keep all four services busy, and what became of them is known."""

from __future__ import annotations

import asyncio
from typing import Any

from remit_testing.api import Api
from remit_testing.at_once import AtOnce

OVERDUE, FRESH, PAID = 6, 3, 3


class Traffic:
    """What a careful caller posts, remembered for the reckoning at the end: ids with invoice numbers."""

    def __init__(self, api: Api, at_once: AtOnce) -> None:
        self.overdue: dict[str, str] = {}
        self.fresh: dict[str, str] = {}
        self.paid: dict[str, str] = {}
        self.approved: list[str] = []
        self._api = api
        self._at_once = at_once
        self._unpaid: list[str] = []

    async def round(self) -> None:
        """A little of everything at once, but for approvals, of which there are only so many."""
        await asyncio.gather(self.remind(OVERDUE), self.issue(FRESH), self.pay(PAID))

    async def remind(self, count: int, *, pay: bool = True) -> None:
        """With `pay` they are paid in a later round."""
        posted = await self._at_once.overdue(self._api, count)
        self.overdue |= posted
        self._unpaid += posted.values() if pay else []

    async def issue(self, count: int) -> None:
        self.fresh |= await self._at_once.fresh(self._api, count)

    async def pay(self, count: int) -> None:
        """What has been overdue longest: a thank-you each."""
        for number in [self._unpaid.pop(0) for _ in range(min(count, len(self._unpaid)))]:
            body = {"invoice_number": number, "settle": True, "reference": f"paid {number}"}
            answer = await self._api.post("invoice-svc", "/v1/payments", body)
            self.paid[answer["id"]] = number

    async def approve(self, count: int) -> None:
        """Of those that wait; their invoices are paid in a later round."""
        for approval in (await self.waiting())[:count]:
            path = f"/v1/approvals/{approval['id']}/approve"
            answer = await self._api.post("escalation-svc", path, {"by": "Mara Lind", "reason": "called"})
            self.approved.append(answer["id"])
            self._unpaid.append(answer["invoice_number"])

    async def waiting(self) -> list[dict[str, Any]]:
        return await self._api.all("escalation-svc", "/v1/approvals", status="pending")
