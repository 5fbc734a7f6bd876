"""What one transaction works on: customers, and their cases with all that hangs on them; what is changed is marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from escalation_svc.records import ApprovalRow, Case, ContactRow, Customer, RungRow

# A version of a seller's ladder, or (with version None) whose profile follows which: seller, key, version, profile.
LadderRow = tuple[UUID, str, int | None, str | None]


@dataclass
class Book:
    """The working set of one transaction. What is changed is marked and written by `save`."""

    customers: dict[UUID, Customer] = field(default_factory=dict)
    cases: dict[UUID, Case] = field(default_factory=dict)  # by invoice
    ladders: list[LadderRow] = field(default_factory=list)  # of the customers' sellers
    touched: set[UUID] = field(default_factory=set)  # invoices whose case row changed
    new_contacts: dict[tuple[UUID, UUID], ContactRow] = field(default_factory=dict)
    new_rungs: list[tuple[Case, RungRow]] = field(default_factory=list)
    changed_rungs: list[tuple[Case, RungRow]] = field(default_factory=list)
    changed_approvals: dict[UUID, tuple[Case, ApprovalRow]] = field(default_factory=dict)
    new_tasks: list[dict[str, Any]] = field(default_factory=list)
    # (case, kind; None: all of them) → why its open tasks are over
    closed_tasks: dict[tuple[UUID, str | None], str] = field(default_factory=dict)

    def customer(self, case: Case) -> Customer:
        return self.customers[case.customer_id]

    def touch(self, case: Case) -> None:
        self.touched.add(case.invoice.id)

    def contact(self, case: Case, row: ContactRow) -> None:
        """Adds or changes a delivery of a case."""
        case.contacts[row.delivery_id] = row
        self.new_contacts[case.id, row.delivery_id] = row
        self.touch(case)

    def approve(self, case: Case, row: ApprovalRow) -> None:
        """Adds or changes an approval of a case."""
        if all(row.id != known.id for known in case.approvals):
            case.approvals.append(row)
        self.changed_approvals[row.id] = (case, row)
        self.touch(case)
