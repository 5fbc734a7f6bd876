"""`/v1/templates`: which wordings there are, and what a planned message will say."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from notifier_svc import contacts
from notifier_svc.api.inputs import Word
from notifier_svc.api.views import ID
from notifier_svc.api.wiring import OutsideReader, Reader, WiringDep, example
from notifier_svc.balances import UnansweredError
from notifier_svc.hours import local_day
from notifier_svc.rendering import MessageContext, PaymentInfo
from notifier_svc.rendering.renderer import catalogue
from remit_events.schedule import Demand, Item
from remit_events.state import Channel, CustomerState, InvoiceState, Stage, Tone
from remit_service.api import Body, Router, SharedDep, StrictRoute, problem_responses
from remit_service.problems import FieldError, Problem, invalid_fields, not_found
from remit_service.sellers import get_seller

router = Router(prefix="/v1/templates", tags=["templates"])
asking = Router(prefix="/v1/templates", route_class=StrictRoute, tags=["templates"])


class Template(BaseModel):
    """A wording that ships; `tone` is null where the stage has one only."""

    model_config = example(stage="overdue", tone="firm", language="de")

    stage: Stage
    tone: Tone | None
    language: str


class Templates(BaseModel):
    data: list[Template]


class PlannedItem(BaseModel):
    """An invoice of a planned message; more fields than these are no harm."""

    invoice_id: UUID
    step: Word | None = None
    amount_minor: Annotated[int, Field(ge=0)] | None = None
    days_overdue: int | None = None


class PlannedMessage(Body):
    """A message as scheduler-svc's plans and escalation-svc's approvals show it."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-03-02T08:00:00Z",
                    "customer_id": ID,
                    "stage": "overdue",
                    "step": "second",
                    "tone": "neutral",
                    "channels": ["email"],
                    "template": "second",
                    "items": [{"invoice_id": ID, "amount_minor": 11900, "step": "second", "days_overdue": 10}],
                }
            ]
        },
    )

    at: AwareDatetime
    customer_id: UUID
    stage: Stage
    step: Word
    tone: Tone | None = None
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=3)] = (Channel.EMAIL,)
    template: Word | None = None
    items: Annotated[list[PlannedItem], Field(min_length=1, max_length=1000)]
    demand: Demand | None = None
    payment: PaymentInfo | None = None


class Rendering(BaseModel):
    """What would be said, by what is owed now. `letter_base64` is a PDF."""

    model_config = example(language="de", subject="Zahlungserinnerung: Rechnung R-1042", text="…", html="…", sms=None)

    language: str
    subject: str
    text: str
    html: str
    sms: str | None
    letter_base64: str | None
    digest: str


@router.get("", summary="List the templates", responses=problem_responses(401, 403))
async def list_templates(caller: Reader) -> Templates:  # noqa: ARG001  # only who it is matters
    return Templates(data=[Template(stage=e.stage, tone=e.tone, language=e.language) for e in catalogue()])


@asking.post("/preview", summary="Render a planned message", responses=problem_responses(401, 403, 404, 422, 503))
async def preview(body: PlannedMessage, caller: OutsideReader, wiring: WiringDep, shared: SharedDep) -> Rendering:
    """Renders a planned message with the invoices as they are now; stores and sends nothing.

    It reads as it will leave, but for the link to unsubscribe, which here does nothing.
    """
    async with shared.db.reading() as session:
        seller = await get_seller(session, caller.seller_id)
        found = await contacts.find(session, caller.seller_id, body.customer_id)
    if found is None:
        raise not_found("customer", body.customer_id)
    states, links = await _states(wiring, body), wiring.links(seller, found)
    message = MessageContext(
        seller=seller,
        customer=found,
        stage=body.stage,
        step=body.step,
        tone=body.tone,
        template=body.template or body.step,
        items=_items(body, states, found),
        local_date=local_day(found, body.at),
        demand=body.demand,
        payment=body.payment,
        unsubscribe_url=links.url,
        unsubscribe_mailto=links.mailto,
    )
    try:
        rendered = wiring.render(message, channels=set(body.channels))
    except ValueError as error:
        raise invalid_fields([FieldError("", "not-renderable", str(error))]) from error
    letter = b64encode(rendered.letter).decode() if rendered.letter else None
    return Rendering(
        language=rendered.language,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        sms=rendered.sms,
        letter_base64=letter,
        digest=rendered.digest,
    )


async def _states(wiring: WiringDep, body: PlannedMessage) -> Mapping[UUID, InvoiceState]:
    try:
        check = await wiring.still_owed.ask([item.invoice_id for item in body.items], ())
    except UnansweredError as error:
        detail = f"{error.who} does not answer, and a message cannot be written without its invoices. Try again."
        raise Problem("not-answered", 503, "Not available just now", detail, headers={"Retry-After": "1"}) from error
    return check.states


def _items(body: PlannedMessage, states: Mapping[UUID, InvoiceState], customer: CustomerState) -> tuple[Item, ...]:
    """The planned items with their invoices; what the plan does not say follows from the invoice."""
    unknown = [
        FieldError(f"/items/{place}/invoice_id", "unknown", "This customer has no such invoice.", str(item.invoice_id))
        for place, item in enumerate(body.items)
        if item.invoice_id not in states or states[item.invoice_id].customer_id != customer.id
    ]
    if unknown:
        raise invalid_fields(unknown)
    return tuple(_item(item, states[item.invoice_id], body, customer) for item in body.items)


def _item(item: PlannedItem, state: InvoiceState, body: PlannedMessage, customer: CustomerState) -> Item:
    overdue = (local_day(customer, body.at) - state.due_date).days if state.due_date else 0
    return Item(
        invoice=state,
        step=item.step or body.step,
        amount_minor=state.chased_minor if item.amount_minor is None else item.amount_minor,
        days_overdue=overdue if item.days_overdue is None else item.days_overdue,
    )
