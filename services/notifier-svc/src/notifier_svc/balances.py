"""Ask before you send: what is still owed, by one call to invoice-svc, and whether automation is on.

Fails closed: without both answers nothing leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from remit_events.state import Hold, InvoiceState

LARGEST_ASK = 1000
AT_ONCE = 8


class UnansweredError(Exception):
    """A service that must be asked did not answer; `who` names it."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(f"{who}: {why}")
        self.who = who


class _State(InvoiceState):
    customer_hold: Hold | None = None


class _Balances(BaseModel):
    as_of: datetime
    invoices: list[_State]


class _Automation(BaseModel):
    on: bool


Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Check:
    """What was answered. `holds` are on the customers of these invoices.

    `asked_at` is the monotonic second before the question; `as_of` the instant of invoice-svc's clock it holds for.
    """

    states: Mapping[UUID, InvoiceState]
    holds: dict[UUID, Hold]
    automation: dict[UUID, bool]
    asked_at: float
    as_of: datetime | None

    def age(self) -> float:
        return time.monotonic() - self.asked_at


class StillOwed:
    """Asks invoice-svc for balances (never cached) and scheduler-svc for the kill switch (kept `max_age` seconds)."""

    def __init__(self, invoices: httpx.AsyncClient, scheduler: httpx.AsyncClient, max_age: float) -> None:
        self._invoices = invoices
        self._scheduler = scheduler
        self.max_age = max_age
        self._switch: dict[UUID, tuple[bool, float]] = {}

    async def ask(self, invoice_ids: Collection[UUID], seller_ids: Collection[UUID]) -> Check:
        """Raises UnansweredError."""
        asked_at = time.monotonic()
        unknown = [seller for seller in set(seller_ids) if not self._fresh(seller, asked_at)]
        chunks = batched_ids(invoice_ids)
        answers = await asyncio.gather(
            *(self._balances(chunk) for chunk in chunks), self._ask_automation(unknown, asked_at)
        )
        balances: list[_Balances] = [answer for answer in answers if isinstance(answer, _Balances)]
        states = {state.id: state for answer in balances for state in answer.invoices}
        return Check(
            states=states,
            holds={state.id: state.customer_hold for state in states.values() if state.customer_hold},
            automation={seller: self._switch[seller][0] for seller in set(seller_ids)},
            asked_at=asked_at,
            as_of=min((answer.as_of for answer in balances), default=None),
        )

    async def _balances(self, invoice_ids: list[str]) -> _Balances:
        question = self._invoices.post("/v1/balances", json={"invoice_ids": invoice_ids})
        return await _answer("invoice-svc", question, _Balances)

    def _fresh(self, seller: UUID, now: float) -> bool:
        known = self._switch.get(seller)
        return known is not None and now - known[1] <= self.max_age

    async def _ask_automation(self, sellers: Iterable[UUID], asked_at: float) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(seller: UUID) -> None:
            async with slots:
                question = self._scheduler.get("/v1/automation", params={"seller_id": str(seller)})
                answer = await _answer("scheduler-svc", question, _Automation)
            self._switch[seller] = (answer.on, asked_at)

        await asyncio.gather(*(one(seller) for seller in sellers))


async def _answer(who: str, question: Coroutine[Any, Any, httpx.Response], shape: type[Shape]) -> Shape:
    try:
        response = await question
    except httpx.HTTPError as error:
        raise UnansweredError(who, type(error).__name__) from error
    if response.status_code != 200:
        raise UnansweredError(who, f"HTTP {response.status_code}")
    try:
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        raise UnansweredError(who, "an answer that cannot be read") from error


def batched_ids(invoice_ids: Collection[UUID]) -> list[list[str]]:
    ids = [str(invoice_id) for invoice_id in dict.fromkeys(invoice_ids)]
    return [ids[start : start + LARGEST_ASK] for start in range(0, len(ids), LARGEST_ASK)]
