"""What callers may say: the shapes the domain takes, refused as a whole when any part cannot be right."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from invoice_svc import examples
from invoice_svc.field_types import Bic, Day, Iban, Label, Line, Lines, Link, Name, Reason
from remit_events.state import Profile
from remit_service.bodies import Body
from remit_service.money import LARGEST_MINOR, AmountMinor
from remit_service.validation import Country, Currency, Email, Key, LanguageTag, Phone, TimeZone


def _shown(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class SellerIn(Body):
    """What describes a seller: who sends, where replies go, how to pay."""

    model_config = _shown(**examples.SELLER_IN)
    name: Name
    country: Country = "DE"
    language: LanguageTag = "en"
    address: Lines | None = None
    sender_email: Email | None = None
    reply_to: Email | None = None
    phone: Phone | None = None
    sms_from: Annotated[str, Field(pattern=r"^(\+[1-9]\d{6,14}|[A-Za-z0-9 ]{1,11})$")] | None = None
    iban: Iban | None = None
    bic: Bic | None = None
    bank_name: Name | None = None
    payment_link: Link | None = None
    account_manager: Name | None = None
    thank_you: bool = True
    send_invoices: bool = True


class ApiKeyIn(Body):
    model_config = _shown(name="bookkeeping", scopes=["invoices:read", "payments:write"])
    name: Label
    scopes: list[Label] = Field(min_length=1, max_length=40)


class CustomerFields(Body):
    """What describes a customer. Without a profile they count as an individual."""

    name: Name
    profile: Profile = "individual"
    country: Country
    timezone: TimeZone | None = None
    language: LanguageTag | None = None
    email: Email | None = None
    phone: Phone | None = None
    address: Lines | None = None
    sms_consent: bool = False
    policy_key: Key | None = None
    ladder_key: Key | None = None


class CustomerIn(CustomerFields):
    """A customer as another system knows them, by its id there."""

    model_config = _shown(**examples.CUSTOMER_IN)
    external_id: Label


class CustomerPut(CustomerFields):
    """A customer whole: what is left out is cleared. `external_id` may be repeated, not changed."""

    model_config = _shown(**examples.CUSTOMER_IN)
    external_id: Label | None = None


class InvoiceIn(Body):
    """An invoice to issue at once, or to keep as a draft. Without a number Remit gives one."""

    model_config = _shown(**examples.INVOICE_IN)
    customer_id: UUID | None = None
    customer_external_id: Label | None = None
    number: Label | None = None
    external_id: Label | None = None
    issue_date: Day | None = Field(
        default=None, description="Default: today at the customer's place. Only a draft may be dated ahead."
    )
    due_date: Day | None = Field(default=None, description="Without one nothing is ever reminded.")
    amount_minor: AmountMinor
    currency: Currency
    disputed: bool = Field(default=False, description="Disputed in full from the moment it is issued.")
    draft: bool = False
    policy_key: Key | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.customer_id is None) == (self.customer_external_id is None):
            raise PydanticCustomError("customer", "Name the customer by customer_id or customer_external_id, not both.")
        if self.issue_date and self.due_date and self.due_date < self.issue_date:
            said = {"issue_date": self.issue_date.isoformat(), "due_date": self.due_date.isoformat()}
            raise PydanticCustomError("due_before_issue", DUE_BEFORE_ISSUE, said)
        if self.draft and self.disputed:
            raise PydanticCustomError("disputed_draft", "A draft cannot be disputed: issue it, or leave disputed out.")
        return self


DUE_BEFORE_ISSUE = "due_date {due_date} lies before issue_date {issue_date}; an invoice is due on its day or later."


class IssueIn(Body):
    model_config = _shown(number="2026-0042", issue_date="2026-03-02")
    number: Label | None = None
    issue_date: Day | None = None


class AllocationIn(Body):
    invoice_id: UUID
    amount_minor: AmountMinor


class PaymentIn(Body):
    """Money that came in. It goes where `allocations` or the invoice say, else to the invoices the reference names,
    else to what has been due longest; what is left is credit on account."""

    model_config = _shown(**examples.PAYMENT_IN)
    invoice_id: UUID | None = None
    invoice_number: Label | None = None
    customer_id: UUID | None = None
    customer_external_id: Label | None = None
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    reference: Name
    provider: Label = "manual"
    external_id: Label | None = None
    received_on: Day | None = Field(default=None, description="Default: today at the customer's place.")
    allocations: list[AllocationIn] | None = Field(default=None, min_length=1, max_length=200)
    settle: bool = Field(default=False, description="Pays whatever is owed on the invoice; without amount_minor.")

    @property
    def names_invoices(self) -> bool:
        return bool(self.allocations or self.invoice_id or self.invoice_number)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        one_invoice = self.invoice_id is not None or self.invoice_number is not None
        if self.invoice_id is not None and self.invoice_number is not None:
            raise PydanticCustomError("invoice", "Name the invoice by invoice_id or invoice_number, not both.")
        if self.customer_id is not None and self.customer_external_id is not None:
            raise PydanticCustomError("customer", "Name the customer by customer_id or customer_external_id, not both.")
        if one_invoice and self.allocations:
            raise PydanticCustomError("allocations", "Give either allocations or one invoice.")
        if not (self.names_invoices or self.customer_id or self.customer_external_id):
            raise PydanticCustomError("payer", "Say whose payment it is: name the invoice or the customer.")
        if self.settle and (not one_invoice or self.amount_minor is not None):
            raise PydanticCustomError("settle", "settle pays one invoice in full: name it and leave amount_minor out.")
        if not self.settle and (self.amount_minor is None or self.currency is None):
            raise PydanticCustomError("amount", "amount_minor and currency are required, unless settle is true.")
        return self


class AllocateIn(Body):
    """Where credit on account goes: as `allocations` say, else to the one invoice as far as it is owed, else to the
    invoices the payment's reference names and then to what has been due longest."""

    model_config = _shown(invoice_id=examples.INVOICE_ID)
    invoice_id: UUID | None = None
    allocations: list[AllocationIn] | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.invoice_id is not None and self.allocations:
            raise PydanticCustomError("allocations", "Give either allocations or one invoice.")
        return self


class ReverseIn(Body):
    model_config = _shown(reason="charge-back", reversed_on="2026-03-20")
    reason: Reason
    reversed_on: Day | None = None


class ReasonIn(Body):
    model_config = _shown(reason="agreed on the phone")
    reason: Reason


class HoldIn(Body):
    """`until` is the last day of the hold at the customer's place; without one it stands until released."""

    model_config = _shown(reason="waiting for their purchase order", until="2026-03-31")
    reason: Reason
    until: Day | None = None


class DisputeIn(Body):
    """Without `amount_minor` the whole invoice is disputed."""

    model_config = _shown(reason="two of five boxes arrived", amount_minor=24_000, deadline="2026-04-15")
    reason: Reason
    amount_minor: AmountMinor | None = None
    deadline: Day | None = None


class ResolveIn(Body):
    model_config = _shown(outcome="rejected: delivery note signed")
    outcome: Reason


class PromiseIn(Body):
    """Without `amount_minor` the whole balance is promised."""

    model_config = _shown(on="2026-03-27", amount_minor=119_000, grace_business_days=1)
    on: Day
    amount_minor: AmountMinor | None = None
    grace_business_days: int = Field(default=1, ge=0, le=30)


class BalancesIn(Body):
    model_config = _shown(invoice_ids=[examples.INVOICE_ID])
    invoice_ids: list[UUID] = Field(max_length=1000)


class ImportIn(Body):
    """`live`: a paid_date in the future is refused; else it is left for later. `dry_run`: nothing stays."""

    model_config = _shown(file_name="open-items.csv", rows_total=2466, dry_run=False, live=True)
    file_name: Name
    rows_total: int = Field(ge=0, le=10_000_000)
    dry_run: bool = False
    live: bool = True


class FinishIn(Body):
    """`present`: numbers of invoices in the file whose rows were refused before they were sent."""

    model_config = _shown(present=["2026-0043"])
    present: list[Label] = Field(default_factory=list, max_length=10_000)


class ImportRow(Body):
    """One line of an export, cells already read: dates, minor units, yes and no. An empty text is no value."""

    model_config = _shown(**examples.IMPORT_ROW)
    line: Line
    customer_external_id: Label
    customer_name: Name
    email: Email | None = None
    phone: Phone | None = None
    profile: Profile | None = None
    country: Country
    timezone: TimeZone | None = None
    language: LanguageTag | None = None
    invoice_number: Label
    issue_date: Day
    due_date: Day | None = None
    amount_minor: AmountMinor
    currency: Currency
    disputed: bool | None = None
    paid_date: Day | None = None
    open_amount_minor: Annotated[int, Field(strict=True, ge=0, le=LARGEST_MINOR)] | None = None
    sms_consent: bool | None = None
    address: Lines | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "" not in given.values():
            return given
        return {name: None if value == "" else value for name, value in given.items()}
