"""What an import writes of an issued invoice is what the contract's model writes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from invoice_svc import issued
from invoice_svc.invoices import Invoice
from remit_events.invoices import InvoiceIssued
from remit_events.outbox import Written

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
DAY = st.dates(date(1970, 1, 1), date(2199, 12, 31))
MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
MINOR = st.integers(1, 10**15)


@st.composite
def drafts(draw: st.DrawFn) -> Invoice:
    total, on = draw(MINOR), draw(st.none() | DAY)
    return Invoice(
        id=draw(st.uuids()),
        seller_id=draw(st.uuids()),
        customer_id=draw(st.uuids()),
        number=None,
        external_id=draw(st.none() | TEXT),
        status="draft",
        currency=draw(st.sampled_from(["EUR", "JPY"])),
        total_minor=total,
        balance_minor=total,
        issue_date=None,
        due_date=draw(st.none() | DAY),
        policy_key=draw(st.none() | TEXT),
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
        updated_at=datetime(2026, 3, 2, tzinfo=UTC),
        disputed_minor=draw(st.integers(0, total)),
        hold_reason=draw(st.none() | TEXT),
        hold_until=draw(st.none() | DAY),
        promise_id=UUID(int=7) if on else None,
        promise_on=on,
        promise_minor=5 if on else None,
        promise_grace_until=on,
        promises_broken=draw(st.integers(0, 9)),
    )


@given(drafts(), TEXT, DAY, MOMENT)
def test_it_is_what_the_model_writes(draft: Invoice, number: str, day: date, now: datetime) -> None:
    written = issued.issue(draft, number, day, now)
    model = InvoiceIssued(seller_id=draft.seller_id, customer_id=draft.customer_id, invoice=draft.state())
    assert written == Written.of(model)
    assert (draft.status, draft.number, draft.issue_date, draft.issued_at) == ("issued", number, day, now)
