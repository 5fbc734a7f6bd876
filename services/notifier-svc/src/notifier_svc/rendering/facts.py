"""The facts a wording sees, as `m`: strings cleaned and formatted in the message's language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One invoice. `paid` and `disputed` are None when nothing was; `balance` when nothing is left."""

    number: str
    issued: str
    due: str | None
    amount: str
    total: str
    paid: str | None
    disputed: str | None
    balance: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A formal demand: amounts in the leading item's currency; interest and compensation None when zero."""

    principal: str
    interest: str | None
    compensation: str | None
    total: str
    deadline: str
    deadline_short: str
    reminders: int
    reminders_sent: str


@dataclass(frozen=True, slots=True)
class Received:
    """The payment a thank-you is for.

    Where not all of it went to the message's invoices, `these` is what did; `elsewhere` went to `others`, which stay
    open, and `credit` to none.
    """

    amount: str
    on: str
    reference: str
    these: str | None
    elsewhere: str | None
    others: str
    others_single: bool
    credit: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """Some invoices in a few phrases. `due`, `days`, `status` and `relative` are of their oldest due date."""

    n: int
    single: bool
    count: str
    invoices: str
    invoices_start: str
    numbers: str
    amounts: str
    totals: tuple[str, ...]
    due: str
    days: int
    status: str
    relative: str
    when: str


@dataclass(frozen=True, slots=True)
class View(Part):
    """A message's facts. Its own phrases are about what it asks to be paid; `coming` are invoices listed beside.

    In a message about overdue invoices those are the ones that are not, in one of the due date those due later.
    `coming_after` says them at the end of a subject ("" where there are none); `mentioned` names all invoices.
    """

    seller: str
    seller_short: str
    customer: str
    company: bool
    coming: Part | None
    coming_after: str
    mentioned: str
    partial: bool
    settled: bool
    lines: tuple[Line, ...]
    claim: Claim | None
    received: Received | None
