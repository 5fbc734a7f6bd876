"""What the routes share: who may call, and the tasks to tell about things that end by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from invoice_svc.expiry import Expiry
from remit_service.api import Caller, require


@dataclass(frozen=True, slots=True)
class Wiring:
    promises: Expiry
    holds: Expiry


async def _wiring(request: Request) -> Wiring:
    found: Wiring = request.app.state.invoice
    return found


WiringDep = Annotated[Wiring, Depends(_wiring)]
Atomic = Annotated[bool, Query(description="All or nothing: one refused item refuses the whole batch (422).")]

SellerReader = Annotated[Caller, require("sellers:read", or_internal=True)]
SellerWriter = Annotated[Caller, require("sellers:write")]
KeyReader = Annotated[Caller, require("keys:read")]
KeyWriter = Annotated[Caller, require("keys:write")]
CustomerReader = Annotated[Caller, require("customers:read")]
CustomerWriter = Annotated[Caller, require("customers:write")]
InvoiceReader = Annotated[Caller, require("invoices:read")]
InvoiceWriter = Annotated[Caller, require("invoices:write")]
PaymentReader = Annotated[Caller, require("payments:read")]
PaymentWriter = Annotated[Caller, require("payments:write")]
EventReader = Annotated[Caller, require("events:read")]
BalanceReader = Annotated[Caller, require("invoices:read", or_internal=True)]

# An import makes customers, invoices and payments.
_importer = (require("customers:write"), require("invoices:write"), require("payments:write"))


async def _may_import(
    caller: Annotated[Caller, _importer[0]],
    _invoices: Annotated[Caller, _importer[1]],
    _payments: Annotated[Caller, _importer[2]],
) -> Caller:
    return caller


Importer = Annotated[Caller, Depends(_may_import)]
