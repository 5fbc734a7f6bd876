"""Snapshots that events carry: the newest version of each is the truth a consumer keeps.

Money is integer minor units beside an ISO 4217 code; dates without a time are in the customer's time zone.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    LETTER = "letter"


class Stage(StrEnum):
    """What a message is, by domain-rules: the last four follow up, `invoice` and `thanks` are transactional."""

    INVOICE = "invoice"
    UPCOMING = "upcoming"
    DUE = "due"
    OVERDUE = "overdue"
    DEMAND = "demand"
    THANKS = "thanks"


class Tone(StrEnum):
    FRIENDLY = "friendly"
    NEUTRAL = "neutral"
    FIRM = "firm"
    FINAL = "final"


Profile = Literal["business", "individual", "government"]
InvoiceStatus = Literal["issued", "partly_paid", "paid", "void", "written_off"]


class Snapshot(BaseModel):
    """Frozen; unknown fields are ignored, so additive changes stay readable."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Hold(Snapshot):
    """Staff asked to leave a customer or an invoice alone, through `until` (inclusive; None: until released)."""

    reason: str
    until: date | None = None


class Promise(Snapshot):
    """The debtor promised `amount_minor` by `on`; automation waits through `grace_until` (inclusive)."""

    id: UUID
    on: date
    amount_minor: int
    grace_until: date


class InvoiceState(Snapshot):
    """One issued invoice, whole.

    `balance_minor` is what is still owed, `disputed_minor` the part of it under dispute. `issued_at` is when it
    became final in Remit (for old debt long after `issue_date`). `promises_broken` counts broken promises: each
    makes the follow-up resume one step harder.
    """

    id: UUID
    customer_id: UUID
    number: str
    external_id: str | None = None
    status: InvoiceStatus
    currency: str
    total_minor: int
    balance_minor: int
    disputed_minor: int = 0
    issue_date: date
    due_date: date | None = None
    issued_at: datetime
    version: int
    policy_key: str | None = None
    hold: Hold | None = None
    promise: Promise | None = None
    promises_broken: int = 0
    payment_in_flight: bool = False

    @property
    def chased_minor(self) -> int:
        """What may be asked for: the undisputed rest of the balance."""
        return max(self.balance_minor - self.disputed_minor, 0)

    @property
    def is_open(self) -> bool:
        return self.status in ("issued", "partly_paid") and self.balance_minor > 0

    @property
    def fully_disputed(self) -> bool:
        return self.is_open and self.chased_minor == 0


class CustomerState(Snapshot):
    """One customer, whole. `timezone` None: the country has several zones and none was given."""

    id: UUID
    external_id: str
    name: str
    profile: Profile = "individual"
    country: str
    timezone: str | None = None
    language: str | None = None
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    sms_consent: bool = False
    hold: Hold | None = None
    policy_key: str | None = None
    ladder_key: str | None = None
    version: int


class ApiKeyState(Snapshot):
    """An API key as the other services need it: never the key itself, only its SHA-256 (hex)."""

    id: UUID
    name: str
    sha256: str
    scopes: tuple[str, ...]
    revoked: bool = False


class SellerState(Snapshot):
    """Who the money is owed to, how to reach them and how to pay them, whole."""

    id: UUID
    name: str
    country: str = "DE"
    language: str = "en"
    address: str | None = None
    sender_email: str | None = None
    reply_to: str | None = None
    phone: str | None = None
    sms_from: str | None = None
    iban: str | None = None
    bic: str | None = None
    bank_name: str | None = None
    payment_link: str | None = None
    account_manager: str | None = None
    thank_you: bool = True
    send_invoices: bool = True
    keys: tuple[ApiKeyState, ...] = ()
    version: int

    @property
    def has_way_to_pay(self) -> bool:
        return bool(self.iban or self.payment_link)
