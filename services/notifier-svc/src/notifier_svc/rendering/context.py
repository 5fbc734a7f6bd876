"""What a message is made of, and what comes out: the whole interface between delivery and templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from remit_events.schedule import Demand, Item
from remit_events.state import CustomerState, SellerState, Stage, Tone
from remit_service.money import LARGEST_MINOR
from remit_service.validation import Currency

Minor = Annotated[int, Field(ge=0, le=LARGEST_MINOR)]
Number = Annotated[str, Field(max_length=100)]


@dataclass(frozen=True, slots=True)
class PaymentInfo:
    """The payment a thank-you is for: minor units of `currency`; `received_on` in the customer's zone. Its limits are
    those of the preview's body; what the service itself puts here was checked before.

    Of it `elsewhere_minor` went to invoices that stay open (`elsewhere`, their numbers), `credit_minor` to no invoice.
    """

    reference: Annotated[str, Field(max_length=200)]
    received_on: date
    amount_minor: Minor
    currency: Currency
    elsewhere_minor: Minor = 0
    elsewhere: Annotated[tuple[Number, ...], Field(max_length=1000)] = ()
    credit_minor: Minor = 0


@dataclass(frozen=True, slots=True)
class MessageContext:
    """One touch of one customer: `items[0]` leads, `local_date` is the sending day in the customer's zone.

    `demand` is needed by the stage `demand`, `payment` says what a thank-you is for. `template` names a set of
    wordings; where there is none of that name the standard wording of stage and tone is used.
    """

    seller: SellerState
    customer: CustomerState
    stage: Stage
    step: str
    tone: Tone | None
    template: str
    items: tuple[Item, ...]
    local_date: date
    demand: Demand | None = None
    payment: PaymentInfo | None = None
    unsubscribe_url: str | None = None
    unsubscribe_mailto: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to leave: `language` is the tag used, `digest` the SHA-256 (hex) of what leaves.

    `sms` and `letter` (a PDF, A4) are there only when their channel was asked for.
    """

    language: str
    subject: str
    text: str
    html: str
    digest: str
    sms: str | None = None
    letter: bytes | None = None
