"""What the routes answer with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoice_svc import examples as ex
from invoice_svc.customers import Customer
from invoice_svc.disputes import Dispute
from invoice_svc.imports import ImportRun
from invoice_svc.invoices import Invoice
from invoice_svc.payments import Part, Payment
from remit_events.state import ApiKeyState, CustomerState, Hold, Promise, SellerState


def shown(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class SellerOut(BaseModel):
    """A seller without its keys; those are at /v1/api-keys."""

    model_config = shown(**ex.SELLER_IN, id=ex.SELLER_ID, version=3)
    id: UUID
    name: str
    country: str
    language: str
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
    thank_you: bool
    send_invoices: bool
    version: int

    @classmethod
    def of(cls, state: SellerState) -> SellerOut:
        return cls(**state.model_dump(exclude={"keys"}))


class ApiKeyOut(BaseModel):
    model_config = shown(id=ex.KEY_ID, name="bookkeeping", scopes=["invoices:read"], revoked=False)
    id: UUID
    name: str
    scopes: list[str]
    revoked: bool

    @classmethod
    def of(cls, key: ApiKeyState) -> ApiKeyOut:
        return cls(id=key.id, name=key.name, scopes=list(key.scopes), revoked=key.revoked)


class NewApiKeyOut(ApiKeyOut):
    """The only answer that ever holds the key itself."""

    model_config = shown(
        id=ex.KEY_ID, name="bookkeeping", scopes=["invoices:read"], revoked=False, key="rk_kJ0f…shown-this-once"
    )
    key: str


class Credit(BaseModel):
    """Money a customer paid beyond what was open."""

    currency: str
    amount_minor: int


class CustomerOut(CustomerState):
    """A customer, with what a person should know about the data in `notes`, and credit on account."""

    model_config = shown(**ex.CUSTOMER_STATE, created_at=ex.AT, updated_at=ex.AT, notes=[], credit=[])
    created_at: datetime
    updated_at: datetime
    notes: list[str]
    credit: list[Credit]

    @classmethod
    def of(cls, one: Customer, notes: list[str] | None = None, credit: list[Credit] | None = None) -> CustomerOut:
        state = one.state().model_dump()
        return cls(
            **state, created_at=one.created_at, updated_at=one.updated_at, notes=notes or [], credit=credit or []
        )


class InvoiceOut(BaseModel):
    """An invoice or a draft of one. `disputed_minor` is the part of the balance under dispute."""

    model_config = shown(**ex.INVOICE_STATE, paid_minor=0, created_at=ex.AT, updated_at=ex.AT)
    id: UUID
    customer_id: UUID
    number: str | None = None
    external_id: str | None = None
    status: Literal["draft", "issued", "partly_paid", "paid", "void"]
    currency: str
    total_minor: int
    balance_minor: int
    paid_minor: int
    disputed_minor: int
    issue_date: date | None = None
    due_date: date | None = None
    issued_at: datetime | None = None
    policy_key: str | None = None
    hold: Hold | None = None
    promise: Promise | None = None
    promises_broken: int
    payment_in_flight: bool = False
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: Invoice) -> InvoiceOut:
        return cls(
            **{name: getattr(one, name) for name in _INVOICE_FIELDS},
            paid_minor=0 if one.status == "void" else one.paid_minor,
            disputed_minor=one.contested_minor,
            hold=Hold(reason=one.hold_reason, until=one.hold_until) if one.hold_reason is not None else None,
        )


_INVOICE_FIELDS = tuple(
    name
    for name in InvoiceOut.model_fields
    if name not in ("paid_minor", "disputed_minor", "hold", "payment_in_flight")
)


class AllocationOut(BaseModel):
    """What a payment put to an invoice; `balance_minor` is what was owed on it right after."""

    invoice_id: UUID
    invoice_number: str
    amount_minor: int
    balance_minor: int

    @classmethod
    def of(cls, part: Part) -> AllocationOut:
        return cls(
            invoice_id=part.invoice_id,
            invoice_number=part.number,
            amount_minor=part.amount_minor,
            balance_minor=part.balance_after_minor,
        )


_ALLOCATION = {
    "invoice_id": ex.INVOICE_ID,
    "invoice_number": "2026-0042",
    "amount_minor": 119_000,
    "balance_minor": 0,
}
_PAYMENT = {
    "id": ex.PAYMENT_ID,
    "customer_id": ex.CUSTOMER_ID,
    "provider": "bank",
    "reference": "SEPA 2026-0042",
    "external_id": None,
    "currency": "EUR",
    "amount_minor": 119_000,
    "credit_minor": 0,
    "received_on": "2026-03-30",
    "status": "received",
    "allocations": [_ALLOCATION],
    "reversed_on": None,
    "reversal_reason": None,
    "created_at": ex.AT,
}


class PaymentOut(BaseModel):
    """A payment and where it went; `credit_minor` is on account: `POST …/allocations` puts it to invoices."""

    model_config = shown(**_PAYMENT)
    id: UUID
    customer_id: UUID
    provider: str
    reference: str
    external_id: str | None = None
    currency: str
    amount_minor: int
    credit_minor: int
    received_on: date
    status: Literal["received", "reversed"]
    allocations: list[AllocationOut]
    reversed_on: date | None = None
    reversal_reason: str | None = None
    created_at: datetime

    @classmethod
    def of(cls, one: Payment) -> PaymentOut:
        values = {name: getattr(one, name) for name in _PAYMENT_FIELDS}
        return cls(**values, allocations=[AllocationOut.of(part) for part in one.parts])

    @classmethod
    def first_answer(cls, one: Payment) -> PaymentOut:
        """As it was answered when it was recorded, whatever became of it since."""
        first = one.first_parts
        then = {
            "credit_minor": one.amount_minor - sum(part.amount_minor for part in first),
            "allocations": [AllocationOut.of(part) for part in first],
            "status": "received",
            "reversed_on": None,
            "reversal_reason": None,
        }
        return cls.of(one).model_copy(update=then)


_PAYMENT_FIELDS = tuple(name for name in PaymentOut.model_fields if name != "allocations")


class DisputeOut(BaseModel):
    model_config = shown(
        id=ex.DISPUTE_ID,
        invoice_id=ex.INVOICE_ID,
        customer_id=ex.CUSTOMER_ID,
        amount_minor=24_000,
        whole=False,
        reason="two of five boxes arrived",
        deadline="2026-04-15",
        status="open",
        outcome=None,
        opened_at=ex.AT,
        resolved_at=None,
    )
    id: UUID
    invoice_id: UUID
    customer_id: UUID
    amount_minor: int
    whole: bool
    reason: str
    deadline: date | None = None
    status: Literal["open", "resolved"]
    outcome: str | None = None
    opened_at: datetime
    resolved_at: datetime | None = None

    @classmethod
    def of(cls, one: Dispute) -> DisputeOut:
        return cls(**{name: getattr(one, name) for name in cls.model_fields})


class PromiseOut(BaseModel):
    model_config = shown(
        id=ex.PROMISE_ID,
        invoice_id=ex.INVOICE_ID,
        customer_id=ex.CUSTOMER_ID,
        on="2026-03-27",
        amount_minor=119_000,
        grace_until="2026-03-30",
        expires_at="2026-03-30T22:00:00Z",
        status="running",
        paid_minor=0,
        made_at=ex.AT,
        closed_at=None,
    )
    id: UUID
    invoice_id: UUID
    customer_id: UUID
    on: date
    amount_minor: int
    grace_until: date
    expires_at: datetime
    status: Literal["running", "kept", "partly_kept", "broken", "replaced", "cancelled"]
    paid_minor: int
    made_at: datetime
    closed_at: datetime | None = None

    @classmethod
    def of(cls, row: dict[str, Any]) -> PromiseOut:
        return cls(on=row["promised_on"], **{name: row[name] for name in cls.model_fields if name != "on"})


class ImportOut(BaseModel):
    """An import; `summary` stands once it is finished."""

    model_config = shown(
        id=ex.IMPORT_ID,
        file_name="open-items.csv",
        rows_total=2466,
        dry_run=False,
        live=True,
        created_at=ex.AT,
        finished_at=None,
        summary=None,
    )
    id: UUID
    file_name: str
    rows_total: int
    dry_run: bool
    live: bool
    created_at: datetime
    finished_at: datetime | None = None
    summary: dict[str, Any] | None = None

    @classmethod
    def of(cls, run: ImportRun) -> ImportOut:
        return cls(**{name: getattr(run, name) for name in cls.model_fields})
