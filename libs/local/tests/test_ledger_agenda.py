"""When a ledger's invoices are issued and paid in a simulation, at the customer's place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from remit_testing.ledger_rows import ROW

from remit_local.agenda import Agenda, Kind
from remit_local.ledger import LedgerRow
from remit_local.ledger_agenda import ends, entered_from, inputs


def moments(rows: list[LedgerRow], first: date | None = None) -> list[tuple[Kind, datetime]]:
    return [(one.kind, one.at) for one in sorted(inputs(rows, first)) if one.kind is not Kind.CUSTOMER]


def at(day: int, hour: int, minute: int = 0, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_issued_at_eight_and_paid_at_midnight_there() -> None:
    paid = replace(ROW, paid_date=date(2026, 1, 20))
    assert moments([paid]) == [(Kind.INVOICE, at(5, 7)), (Kind.PAYMENT, at(19, 23))]
    tokyo = replace(paid, country="JP", timezone="Asia/Tokyo")
    assert moments([tokyo]) == [(Kind.INVOICE, at(4, 23)), (Kind.PAYMENT, at(19, 15))]


def test_paid_on_the_day_of_issue_comes_right_after_it() -> None:
    assert moments([replace(ROW, paid_date=ROW.issue_date)]) == [
        (Kind.INVOICE, at(5, 7)),
        (Kind.LATE_PAYMENT, at(5, 7)),
    ]


def test_without_a_zone_issue_waits_for_the_last_and_payment_comes_with_the_first() -> None:
    nowhere = replace(ROW, country="AU", timezone=None, paid_date=date(2026, 1, 20))
    (_, issued), (_, paid) = moments([nowhere])
    assert issued == at(5, 0)  # 08:00 in Perth
    assert paid == at(19, 13)  # 00:00 on Lord Howe and in Sydney


def test_a_midnight_that_does_not_exist_moves_forward() -> None:
    santiago = replace(ROW, country="CL", timezone="America/Santiago", paid_date=date(2026, 9, 6))
    assert moments([santiago])[1][1] == at(6, 4, month=9)


def test_from_a_day_on_older_invoices_enter_as_old_debt() -> None:
    first = date(2026, 3, 1)
    old = replace(ROW, paid_date=date(2026, 3, 10))
    settled = replace(ROW, invoice_number="R2", line=3, paid_date=date(2026, 2, 27))
    assert entered_from([old, settled], first) == [old]
    assert moments([old], first) == [(Kind.INVOICE, at(1, 7, month=3)), (Kind.PAYMENT, at(9, 23, month=3))]
    body = next(one.body for one in inputs([old], first) if one.kind is Kind.INVOICE)
    assert body["issue_date"] == "2026-01-05"


def test_a_part_paid_invoice_enters_with_its_part() -> None:
    part = replace(ROW, open_minor=1900)
    (one,) = [one for one in inputs([part]) if one.kind is Kind.LATE_PAYMENT]
    assert (one.body["amount_minor"], one.at) == (10000, at(5, 7))
    (settled,) = [one for one in inputs([replace(ROW, open_minor=0)]) if one.kind is Kind.LATE_PAYMENT]
    assert (settled.body["amount_minor"], settled.at) == (11900, at(5, 7))


def test_a_part_is_received_on_the_day_it_is_there() -> None:
    part = replace(ROW, country="JP", timezone="Asia/Tokyo", open_minor=1900)
    for first, day, moment in ((None, "2026-01-05", at(4, 23)), (date(2026, 3, 1), "2026-03-01", at(28, 23, month=2))):
        (one,) = [one for one in inputs([part], first) if one.kind is Kind.LATE_PAYMENT]
        assert (one.body["received_on"], one.at) == (day, moment)


def test_customers_come_first_and_once() -> None:
    agenda = Agenda(inputs([ROW, replace(ROW, line=3, invoice_number="R2")]))
    first = agenda.next_at()
    assert first is not None
    assert [one.kind for one in agenda.take(first)] == [Kind.CUSTOMER]
    following = agenda.next_at()
    assert following is not None
    assert [one.key for one in agenda.take(following)] == ["R1", "R2"]
    assert agenda.next_at() is None


def test_an_interrupted_agenda_goes_on_at_its_instant() -> None:
    agenda = Agenda(inputs([ROW, replace(ROW, line=3, invoice_number="R2", issue_date=date(2026, 1, 6))]))
    agenda.drop_before(at(6, 7))
    assert agenda.next_at() == at(6, 7)


def test_until_is_inclusive() -> None:
    assert at(5, 23, 59) < ends(date(2026, 1, 5)) < at(6, 0)
