"""What happens from outside in a time-lapse: invoices issued, payments coming in, disputes, promises, holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import httpx

from remit_local.client import readable
from remit_local.errors import RefusedError

BATCH = 500


class Kind(IntEnum):
    """In the order of one instant; what comes from LATE_PAYMENT on waits until the issues have settled."""

    CUSTOMER = 0
    PAYMENT = 1
    INVOICE = 2
    LATE_PAYMENT = 3
    DISPUTE = 4
    PROMISE = 5
    HOLD = 6


# Path and name of the list in the body, for what is posted in batches.
BATCHED = {
    Kind.CUSTOMER: ("/v1/customers/batch", "customers"),
    Kind.PAYMENT: ("/v1/payments/batch", "payments"),
    Kind.INVOICE: ("/v1/invoices/batch", "invoices"),
    Kind.LATE_PAYMENT: ("/v1/payments/batch", "payments"),
}
ABOUT_INVOICE = {Kind.DISPUTE: "disputes", Kind.PROMISE: "promises", Kind.HOLD: "hold"}


@dataclass(frozen=True, order=True)
class Input:
    """One thing that happens: `key` orders those of one instant and kind and names it in a refusal."""

    at: datetime
    kind: Kind
    key: str
    body: dict[str, Any] = field(compare=False)

    @property
    def waits(self) -> bool:
        return self.kind >= Kind.LATE_PAYMENT


class Agenda:
    """Inputs in order of time."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._inputs = deque(sorted(inputs))

    def next_at(self) -> datetime | None:
        return self._inputs[0].at if self._inputs else None

    def last_at(self) -> datetime | None:
        return self._inputs[-1].at if self._inputs else None

    def take(self, at: datetime) -> list[Input]:
        """What happens at or before `at`."""
        due = []
        while self._inputs and self._inputs[0].at <= at:
            due.append(self._inputs.popleft())
        return due

    def drop_before(self, at: datetime) -> None:
        """Forgets what an earlier run has already posted."""
        while self._inputs and self._inputs[0].at < at:
            self._inputs.popleft()


class Poster:
    """Posts inputs to invoice-svc. `repeatable`: with idempotency keys, so that an instant can be posted again."""

    def __init__(self, client: httpx.AsyncClient, *, repeatable: bool = False) -> None:
        self._client = client
        self._repeatable = repeatable
        self.refused: list[tuple[Input, str]] = []
        self._ids: dict[str, str] = {}

    async def post(self, inputs: Sequence[Input]) -> None:
        """All of them, batch by batch; a refusal of one is noted and does not stop the others."""
        for kind in sorted({one.kind for one in inputs}):
            of_kind = [one for one in inputs if one.kind is kind]
            if kind in BATCHED:
                for start in range(0, len(of_kind), BATCH):
                    await self._post_batch(kind, of_kind[start : start + BATCH])
            else:
                for one in of_kind:
                    await self._post_about_invoice(one)

    async def _post_batch(self, kind: Kind, inputs: Sequence[Input]) -> None:
        path, name = BATCHED[kind]
        answer = await self._send(path, {name: [one.body for one in inputs]}, f"{kind.name}-{inputs[0].key}", inputs[0])
        for one, result in zip(inputs, answer["results"], strict=True):
            if result.get("problem"):
                self.refused.append((one, readable(result["problem"])))
            elif kind is Kind.INVOICE:
                self._ids[one.key] = result["id"]

    async def _post_about_invoice(self, one: Input) -> None:
        number = one.body["invoice_number"]
        body = {name: value for name, value in one.body.items() if name != "invoice_number"}
        path = f"/v1/invoices/{await self._invoice_id(number)}/{ABOUT_INVOICE[one.kind]}"
        await self._send(path, body, f"{one.kind.name}-{one.key}", one)

    async def _send(self, path: str, body: dict[str, Any], key: str, first: Input) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"{first.at.isoformat()}-{key}"} if self._repeatable else {}
        answer = await self._client.post(path, json=body, headers=headers)
        content: dict[str, Any] = answer.json()
        if not answer.is_success:
            raise RefusedError(f"{first.key} at {first.at.isoformat()}: {readable(content)}")
        return content

    async def _invoice_id(self, number: str) -> str:
        if number not in self._ids:
            answer = await self._client.get("/v1/invoices", params={"number": number})
            found = answer.json()["data"]
            if not found:
                raise RefusedError(f"there is no invoice {number}")
            self._ids[number] = found[0]["id"]
        return self._ids[number]
