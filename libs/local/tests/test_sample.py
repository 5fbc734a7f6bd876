"""The shipped sample can be posted on any day, and holds what the README promises to show."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice_svc.inputs import CustomerIn, DisputeIn, HoldIn, InvoiceIn, PaymentIn, PromiseIn, SellerIn
from remit_local.agenda import Input, Kind
from remit_local.sample import LAPSE_DAYS, SELLER, sample_inputs, sample_rows

BODIES = {
    Kind.CUSTOMER: CustomerIn,
    Kind.PAYMENT: PaymentIn,
    Kind.INVOICE: InvoiceIn,
    Kind.LATE_PAYMENT: PaymentIn,
    Kind.DISPUTE: DisputeIn,
    Kind.PROMISE: PromiseIn,
    Kind.HOLD: HoldIn,
}
ABOUT_INVOICE = (Kind.DISPUTE, Kind.PROMISE, Kind.HOLD)
TODAY = date(2026, 11, 22)


def body(one: Input) -> dict[str, object]:
    return {k: v for k, v in one.body.items() if k != "invoice_number" or one.kind not in ABOUT_INVOICE}


def test_every_input_is_taken_by_the_services() -> None:
    SellerIn.model_validate(SELLER)
    for one in sample_inputs(TODAY):
        BODIES[one.kind].model_validate(body(one))


def test_it_has_what_is_to_be_looked_at() -> None:
    rows = sample_rows(TODAY)
    kinds = {one.kind for one in sample_inputs(TODAY)}
    assert len(rows) == 40
    assert len({row.customer_id for row in rows}) == 12
    assert {row.profile for row in rows} == {"business", "individual", "government"}
    assert {"DE", "GB", "US", "FR", "IL", "KW", "JP"} <= {row.country for row in rows}
    assert {"EUR", "GBP", "USD", "JPY", "KWD"} <= {row.currency for row in rows}
    assert {"de", "en", "fr"} <= {row.language for row in rows}
    assert {Kind.DISPUTE, Kind.PROMISE, Kind.HOLD, Kind.PAYMENT, Kind.LATE_PAYMENT} <= kinds
    assert any(row.timezone is None for row in rows)
    assert any(row.email is None for row in rows)
    assert any(row.sms_consent and row.phone for row in rows)


@given(st.dates(date(2024, 1, 1), date(2040, 12, 31)))
def test_on_any_first_day_it_happens_within_the_time_lapse_and_before_that_day(first_start: date) -> None:
    inputs = sample_inputs(first_start)
    days = [one.at.date() for one in inputs]
    assert min(days) >= first_start - timedelta(days=LAPSE_DAYS + 1)
    assert max(days) < first_start
    assert inputs != []


@given(st.dates(date(2024, 1, 1), date(2040, 12, 31)))
def test_nothing_happens_to_an_invoice_before_it_is_issued(first_start: date) -> None:
    issued = {one.key: one for one in sample_inputs(first_start) if one.kind is Kind.INVOICE}
    for one in sample_inputs(first_start):
        if one.kind not in (Kind.CUSTOMER, Kind.INVOICE):
            assert one > issued[one.key]


@pytest.mark.parametrize("number", ["R-1001"])
def test_an_escalation_has_time_to_wait_for_approval(number: str) -> None:
    """Thirty days overdue, the last reminder five days ago, and some days of holidays to spare."""
    row = next(row for row in sample_rows(TODAY) if row.invoice_number == number)
    assert row.paid_date is None
    assert row.due_date is not None
    assert TODAY - row.due_date >= timedelta(days=30 + 4 + 5 + 4)
    assert row.due_date >= TODAY - timedelta(days=LAPSE_DAYS)
