"""A hundred concurrent requests with one Idempotency-Key: one invoice, one payment, one message for each."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from remit_testing.api import Api
from remit_testing.at_once import AMOUNT_MINOR, AtOnce, address_of, now
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation
from remit_testing.live import built, live
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores

AT_ONCE = 100
SETTLE_SECONDS = 60.0


async def test_one_effect_from_the_request_to_the_mailbox(
    make_database: MakeDatabase, tmp_path: Path, events_url: str | None, invariant: Any
) -> None:
    with SmtpPeer() as peer:
        extras = {"notifier-svc": peer.settings}
        installation = await make_installation(make_database, tmp_path, events_url=events_url, extras=extras)
        async with live(await built(installation)), Api.of(installation) as api, Stores(installation) as stores:
            at_once = AtOnce(now())
            await at_once.rules(api)
            [number] = (await at_once.fresh(api, 1)).values()
            client = api.clients["invoice-svc"]
            invoice = {
                "customer_external_id": f"C-{number}",
                "due_date": "2199-01-01",
                "amount_minor": AMOUNT_MINOR,
                "currency": "EUR",
            }
            made = await all_at_once(client, "/v1/invoices", invoice, "one invoice")
            payment = {"invoice_number": made["number"], "settle": True, "reference": "one payment"}
            await all_at_once(client, "/v1/payments", payment, "one payment")
            await stores.settled(SETTLE_SECONDS)
            issued = [one.data["invoice"]["number"] for one in await stores.told("InvoiceIssued")]
            assert Counter(issued) == {number: 1, made["number"]: 1}
            assert len(await stores.told("PaymentReceived")) == len(await stores.told("InvoicePaid")) == 1
            [paid] = await stores.rows("invoice-svc", "SELECT amount_minor, credit_minor FROM payment")
            assert (paid["amount_minor"], paid["credit_minor"]) == (AMOUNT_MINOR, 0)
    assert len(peer.to(address_of(number))) == 3, "two invoices and one thank-you"
    invariant(26, "one Idempotency-Key, from the request to the mailbox").held(
        rounds=2, requests=2 * AT_ONCE, effects=2
    )


async def all_at_once(client: httpx.AsyncClient, path: str, body: dict[str, Any], key: str) -> Any:
    """Posts it AT_ONCE times; gives the one answer all of them got, some after a 409 that asked for patience."""
    answers = await asyncio.gather(*(answered(client, path, body, key) for _ in range(AT_ONCE)))
    assert {one.status_code for one in answers} == {201}
    assert len({one.content for one in answers}) == 1
    assert sum("Idempotency-Replayed" not in one.headers for one in answers) == 1, "one of them was the first"
    changed = await client.post(path, json=body | {"currency": "USD"}, headers={"Idempotency-Key": key})
    assert changed.status_code == 422
    assert changed.json()["type"] == "urn:remit:problem:idempotency-key-reused"
    return answers[0].json()


async def answered(client: httpx.AsyncClient, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    while True:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": key})
        if answer.status_code != 409:
            return answer
        await asyncio.sleep(float(answer.headers["Retry-After"]) / 4)
