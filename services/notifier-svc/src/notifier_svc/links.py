"""Unsubscribe links: one per address, unguessable, made anew for every message without being stored in clear."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime

from pydantic_core import to_json
from sqlalchemy import text

from notifier_svc.claims import Claim
from notifier_svc.contacts import address_of
from notifier_svc.planning import Hand, Links
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState

_REMEMBER = text("""
INSERT INTO unsubscribe (token_sha256, seller_id, customer_id, address_sha256, created_at)
SELECT token_sha256, seller_id, customer_id, address_sha256, CAST(:now AS timestamptz)
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    token_sha256 text, seller_id uuid, customer_id uuid, address_sha256 text)
ON CONFLICT DO NOTHING
""")


# Where a link's token would stand: a preview in the wrong hands unsubscribes nobody.
IN_A_PREVIEW = "only-a-preview-this-link-does-nothing"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class UnsubscribeLinks:
    """256 bits from the service's key and the address; what is stored is only the hash of that."""

    def __init__(self, public_url: str | None, key: str) -> None:
        self._public_url = public_url
        self._key = key.encode()

    def of(self, claim: Claim) -> Links:
        """The ways to unsubscribe a customer's e-mail address, as far as there are any."""
        address = address_of(claim.customer, Channel.EMAIL)
        if address is None:
            return Links()
        if self._public_url is None:
            return self._with("", claim.seller)
        said = f"unsubscribe\n{claim.seller.id}\n{claim.customer.id}\n{address.sha256}".encode()
        token = urlsafe_b64encode(hmac.digest(self._key, said, "sha256")).decode().rstrip("=")
        return self._with(token, claim.seller)

    def shown(self, seller: SellerState, customer: CustomerState) -> Links:
        """As `of` for a preview: the same words, with IN_A_PREVIEW in the link."""
        return self._with(IN_A_PREVIEW, seller) if address_of(customer, Channel.EMAIL) else Links()

    def _with(self, token: str, seller: SellerState) -> Links:
        answer_to = seller.reply_to or seller.sender_email
        mailto = f"mailto:{answer_to}?subject=unsubscribe" if answer_to else None
        if self._public_url is None:
            return Links(mailto=mailto)
        return Links(f"{self._public_url}/v1/unsubscribe/{token}", mailto, token_hash(token))


async def remember(session: Session, hands: Sequence[Hand], now: datetime) -> None:
    """Stores what the links in these messages stand for."""
    rows = [
        {
            "token_sha256": hand.links.token_sha256,
            "seller_id": hand.claim.seller.id,
            "customer_id": hand.claim.customer.id,
            "address_sha256": address.sha256,
        }
        for hand in hands
        if hand.links.token_sha256 and (address := address_of(hand.claim.customer, Channel.EMAIL))
    ]
    if rows:
        await session.execute(_REMEMBER, {"rows": to_json(rows).decode(), "now": now})
