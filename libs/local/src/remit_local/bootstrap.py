"""The first seller of an installation and its development key, made once; the key's file has mode 0600."""

from __future__ import annotations

from typing import Any

import httpx

from invoice_svc.bootstrap import ensure_seller
from remit_local.home import Home
from remit_service.auth import SELLER_HEADER, new_key
from remit_service.service import Service

KEY = "key"


async def ensure_key(invoices: Service, home: Home, seller: dict[str, Any]) -> str:
    """The key of this installation's seller, who is made of `seller` when there is none yet.

    `seller` holds what PUT /v1/sellers/{id} takes. A lost key file is made good by a new key.
    """
    kept = home.key()
    if kept is None:
        home.keep_secret(KEY, new_key()[0])
    key = home.secret(KEY)
    seller_id, made = await ensure_seller(invoices.db, invoices.clock, key=key, **seller)
    if made is None and kept is None:
        key = await _another_key(invoices, str(seller_id))
        home.keep_secret(KEY, key)
    return key


async def _another_key(invoices: Service, seller_id: str) -> str:
    headers = {
        "Authorization": f"Bearer {invoices.settings.service_key.get_secret_value()}",
        SELLER_HEADER: seller_id,
    }
    transport = httpx.ASGITransport(invoices.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://invoice-svc", headers=headers) as client:
        answer = await client.post("/v1/api-keys", json={"name": "development", "scopes": ["*"]})
        answer.raise_for_status()
        return str(answer.json()["key"])
