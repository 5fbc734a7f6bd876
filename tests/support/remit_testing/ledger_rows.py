"""One row of a ledger, for tests to vary with `dataclasses.replace`."""

from __future__ import annotations

from datetime import date

from remit_local.ledger import LedgerRow

ROW = LedgerRow(
    line=2,
    customer_id="C1",
    customer_name="Acme GmbH",
    country="DE",
    invoice_number="R1",
    issue_date=date(2026, 1, 5),
    due_date=date(2026, 2, 4),
    amount_minor=11900,
    currency="EUR",
    timezone="Europe/Berlin",
)
