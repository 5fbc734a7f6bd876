"""`/v1/unsubscribe/{token}`: a page that changes nothing when followed, and the POST that unsubscribes (RFC 8058)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Annotated
from uuid import UUID

from fastapi import Path, Response
from sqlalchemy import select, update

from notifier_svc import tables as t
from notifier_svc.api.wiring import WiringDep
from notifier_svc.links import token_hash
from notifier_svc.rendering.language import between
from notifier_svc.suppressions import Closing, close_addresses, customers_of
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState
from remit_service.api import Now, Router, SessionDep, problem_responses
from remit_service.problems import Problem
from remit_service.tables import seller

router = Router(prefix="/v1/unsubscribe", tags=["unsubscribe"])

REASON = "unsubscribe"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_WORDS = {
    "en": (
        "Unsubscribe from e-mail",
        "{seller} will send no more courtesy e-mails to this address. Required notices will come by letter.",
        "Unsubscribe",
        "Done. No more e-mails will come to this address.",
    ),
    "de": (
        "E-Mails abbestellen",
        "{seller} sendet dann keine freundlichen E-Mails mehr an diese Adresse. Notwendiges kommt per Brief.",
        "Abbestellen",
        "Erledigt. An diese Adresse kommen keine E-Mails mehr.",
    ),
    "fr": (
        "Se désabonner des e-mails",
        "{seller} n'enverra plus d'e-mails de courtoisie à cette adresse. Les avis nécessaires viendront par courrier.",
        "Se désabonner",
        "C'est fait. Cette adresse ne recevra plus d'e-mails.",
    ),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was sent: from whom (`seller` is their name), to whom, and in which language."""

    seller_id: UUID
    seller: str
    customer_id: UUID
    address_sha256: str
    token_sha256: str
    language: str


Token = Annotated[str, Path(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


@router.get("/{token}", responses=problem_responses(404), response_class=Response)
async def page(token: Token, session: SessionDep) -> Response:
    """What unsubscribing means, and a button; mail scanners that follow the link change nothing."""
    link = await _link(session, token)
    title, means, button, _ = _words(link.language)
    body = f'<p>{escape(means.format(seller=link.seller))}</p><form method="post"><button>{button}</button></form>'
    return _page(link.language, title, body)


@router.post("/{token}", responses=problem_responses(404), response_class=Response)
async def unsubscribe(token: Token, session: SessionDep, wiring: WiringDep, now: Now) -> Response:
    """Closes the e-mail address to courtesy messages; a second time changes nothing more."""
    link = await _link(session, token)
    customers = await customers_of(session, link.seller_id, Channel.EMAIL, link.address_sha256)
    closing = [
        Closing(link.seller_id, customer_id, Channel.EMAIL, link.address_sha256, "courtesy", REASON)
        for customer_id in customers or [link.customer_id]
    ]
    await emit(session, await close_addresses(session, closing, now), now=now)
    u = t.unsubscribe.c
    await session.execute(
        update(t.unsubscribe).where(u.token_sha256 == link.token_sha256, u.used_at.is_(None)).values(used_at=now)
    )
    wiring.nudge()
    title, _, _, done = _words(link.language)
    return _page(link.language, title, f"<p>{escape(done)}</p>")


async def _link(session: Session, token: str) -> Link:
    u, customer = t.unsubscribe.c, t.customer.c
    joined = t.unsubscribe.join(seller, seller.c.id == u.seller_id).outerjoin(t.customer, customer.id == u.customer_id)
    statement = (
        select(t.unsubscribe, seller.c.snapshot.label("by"), customer.snapshot.label("to"))
        .select_from(joined)
        .where(u.token_sha256 == token_hash(token))
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise Problem("not-found", 404, "Not found", "This link is not valid. Use the newest message you received.")
    by = SellerState.model_validate(found.by)
    language = between(CustomerState.model_validate(found.to), by).tag if found.to else by.language
    return Link(found.seller_id, by.name, found.customer_id, found.address_sha256, found.token_sha256, language)


def _words(language: str) -> tuple[str, str, str, str]:
    return _WORDS.get(language.partition("-")[0].lower(), _WORDS["en"])


def _page(language: str, title: str, body: str) -> Response:
    style = "body{font:16px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}button{font:inherit}"
    tag = escape(language.partition("-")[0])
    html = (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{style}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    return Response(html, media_type="text/html; charset=utf-8", headers=_HEADERS)
