"""The e-mail of a delivery: headers by RFC 5322, 3834 (Auto-Submitted) and 8058 (one-click unsubscribe)."""

from __future__ import annotations

from functools import lru_cache

from notifier_svc import mime
from notifier_svc.providers import Outgoing

NOBODY = "no-reply@remit.invalid"


def sender_of(outgoing: Outgoing) -> str:
    """The envelope sender: the seller's, or an address that leads nowhere (mailbox mode before one is set)."""
    return outgoing.seller.sender_email or NOBODY


def compose(outgoing: Outgoing) -> bytes:
    """The message, not signed; raises mime.HeaderInjectionError on control characters in headers."""
    seller = outgoing.seller
    headers = [
        ("From", mime.address(seller.name, sender_of(outgoing))),
        ("To", mime.address(outgoing.customer_name, ascii_address(outgoing.recipient) or outgoing.recipient)),
        ("Subject", mime.unstructured(outgoing.subject)),
        ("Date", mime.date(outgoing.at)),
        ("Message-ID", f"<{outgoing.message_id}>"),
        ("Auto-Submitted", "auto-generated"),
        ("Content-Language", outgoing.language),
        ("X-Remit-Delivery", str(outgoing.delivery_id)),
    ]
    if seller.reply_to:
        headers.insert(2, ("Reply-To", mime.address(seller.name, seller.reply_to)))
    if outgoing.redirected_from:
        headers.append(("X-Remit-Redirected-From", mime.unstructured(outgoing.redirected_from)))
    headers += _unsubscribe(outgoing)
    return mime.message(headers, outgoing.text, outgoing.html, boundary=f"remit-{outgoing.delivery_id.hex}")


def _unsubscribe(outgoing: Outgoing) -> list[tuple[str, str]]:
    ways = [way for way in (outgoing.unsubscribe_url, outgoing.unsubscribe_mailto) if way]
    headers = [("List-Unsubscribe", ",\r\n ".join(f"<{way}>" for way in ways))] if ways else []
    if outgoing.unsubscribe_url:
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return headers


@lru_cache(1024)
def ascii_address(address: str) -> str | None:
    """The address with its domain in IDNA; None when its local part is not ASCII and needs SMTPUTF8."""
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return None
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None
