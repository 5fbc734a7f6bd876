"""The e-mail of a delivery: headers by RFC 5322, 3834 (Auto-Submitted) and 8058 (one-click unsubscribe)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from notifier_svc import mime
from notifier_svc.providers import Outgoing

NOBODY = "no-reply@remit.invalid"
_SIGNED = [
    b"from", b"to", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"content-type",
    b"list-unsubscribe", b"list-unsubscribe-post",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dkim:
    """Signs as `selector`._domainkey.`domain` with an RSA key in PEM."""

    domain: str
    selector: str
    key: bytes

    @classmethod
    def read(cls, domain: str, selector: str, key_file: Path) -> Dkim:
        return cls(domain, selector, key_file.read_bytes())

    def sign(self, message: bytes) -> bytes:
        import dkim  # brings a DNS resolver; most run without a key

        present = message.split(b"\r\n\r\n", 1)[0].lower()
        headers = [name for name in _SIGNED if b"\n" + name + b":" in b"\n" + present]
        signature: bytes = dkim.sign(
            message,
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=headers,
        )
        return signature + message


def sender_of(outgoing: Outgoing) -> str:
    """The envelope sender: the seller's, or an address that leads nowhere (mailbox mode before one is set)."""
    return outgoing.seller.sender_email or NOBODY


def compose(outgoing: Outgoing, signer: Dkim | None = None) -> bytes:
    """The message as it goes over the wire; raises mime.HeaderInjectionError on control characters in headers."""
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
    message = mime.message(headers, outgoing.text, outgoing.html, boundary=f"remit-{outgoing.delivery_id.hex}")
    return signer.sign(message) if signer else message


def _unsubscribe(outgoing: Outgoing) -> list[tuple[str, str]]:
    ways = [way for way in (outgoing.unsubscribe_url, outgoing.unsubscribe_mailto) if way]
    headers = [("List-Unsubscribe", ",\r\n ".join(f"<{way}>" for way in ways))] if ways else []
    if outgoing.unsubscribe_url:
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return headers


def ascii_address(address: str) -> str | None:
    """The address with its domain in IDNA; None when its local part is not ASCII and needs SMTPUTF8."""
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return None
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None
