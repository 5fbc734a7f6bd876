"""invoice-svc over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from invoice_svc.api import (
    api_keys,
    balances,
    customers,
    disputes,
    events,
    followup,
    imports,
    invoices,
    payments,
    sellers,
)

ROUTERS: tuple[APIRouter, ...] = (
    sellers.router,
    api_keys.router,
    customers.router,
    invoices.router,
    followup.router,
    disputes.router,
    payments.router,
    balances.router,
    imports.router,
    events.router,
)
