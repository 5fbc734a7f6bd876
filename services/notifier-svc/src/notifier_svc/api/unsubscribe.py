"""`/v1/unsubscribe/{token}`: a page that changes nothing when followed, and the POST that unsubscribes (RFC 8058)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response
from sqlalchemy import select, update

from notifier_svc import tables as t
from notifier_svc.api.pages import page, prefers_html
from notifier_svc.api.wiring import WiringDep
from notifier_svc.links import token_hash
from notifier_svc.rendering.language import between
from notifier_svc.suppressions import Closing, close_addresses, customers_of
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState
from remit_service.api import LinkRoute, Now, Router, SessionDep, problem_responses
from remit_service.problems import Problem
from remit_service.tables import seller

router = Router(prefix="/v1/unsubscribe", route_class=LinkRoute, tags=["unsubscribe"])

REASON = "unsubscribe"
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
# Whose language is not known: said in all of them.
_INVALID = {
    "en": "This link is not valid. Use the one in the newest message you received.",
    "de": "Dieser Link ist nicht gültig. Nehmen Sie den aus der neuesten Nachricht, die Sie erhalten haben.",
    "fr": "Ce lien n'est pas valable. Utilisez celui du dernier message que vous avez reçu.",
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


# Whatever it looks like: one that was cut off is answered as one that never was.
Token = Annotated[str, Path(description="As it stands in the link that was sent.")]


@router.get(
    "/{token}", summary="Show the page to unsubscribe", responses=problem_responses(404), response_class=Response
)
async def show(token: Token, request: Request, session: SessionDep) -> Response:
    """What unsubscribing means, and a button; mail scanners that follow the link change nothing."""
    link = await _link(session, token)
    if link is None:
        return _invalid(request)
    title, means, button, _ = _words(link.language)
    body = f'<p>{escape(means.format(seller=link.seller))}</p><form method="post"><button>{button}</button></form>'
    return page(link.language, title, body)


@router.post(
    "/{token}", summary="Unsubscribe an e-mail address", responses=problem_responses(404), response_class=Response
)
async def unsubscribe(token: Token, request: Request, session: SessionDep, wiring: WiringDep, now: Now) -> Response:
    """Closes the e-mail address to courtesy messages; a second time changes nothing more."""
    link = await _link(session, token)
    if link is None:
        return _invalid(request)
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
    session.after_commit.append(wiring.nudge)
    title, _, _, done = _words(link.language)
    return page(link.language, title, f"<p>{escape(done)}</p>")


async def _link(session: Session, token: str) -> Link | None:
    u, customer = t.unsubscribe.c, t.customer.c
    joined = t.unsubscribe.join(seller, seller.c.id == u.seller_id).outerjoin(t.customer, customer.id == u.customer_id)
    statement = (
        select(t.unsubscribe, seller.c.snapshot.label("by"), customer.snapshot.label("to"))
        .select_from(joined)
        .where(u.token_sha256 == token_hash(token))
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        return None
    by = SellerState.model_validate(found.by)
    language = between(CustomerState.model_validate(found.to), by).tag if found.to else by.language
    return Link(found.seller_id, by.name, found.customer_id, found.address_sha256, found.token_sha256, language)


def _words(language: str) -> tuple[str, str, str, str]:
    return _WORDS.get(language.partition("-")[0].lower(), _WORDS["en"])


def _invalid(request: Request) -> Response:
    """The same for every link that is none: a page for a browser, else a problem."""
    if not prefers_html(request.headers.get("accept", "")):
        detail = "This link is not valid. Use the newest message you received."
        raise Problem("not-found", 404, "Not found", detail, headers={"Vary": "Accept"})
    said = "".join(f'<p lang="{language}">{escape(words)}</p>' for language, words in _INVALID.items())
    return page("en", "404", said, status=404)
