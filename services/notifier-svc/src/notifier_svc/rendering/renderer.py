"""The renderer: pure and synchronous; templates are compiled once, each when it is first needed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from notifier_svc.rendering import letter, plain, sms
from notifier_svc.rendering.body import lay_out
from notifier_svc.rendering.clean import plain as plain_spaces
from notifier_svc.rendering.context import MessageContext, Rendered
from notifier_svc.rendering.html import Layout
from notifier_svc.rendering.language import between
from notifier_svc.rendering.view import build
from notifier_svc.rendering.wordings import Entry, Wordings
from remit_events.state import Channel

_WORDINGS = Wordings()
_LAYOUT = Layout(_WORDINGS.jinja)


def catalogue() -> list[Entry]:
    """Every wording shipped: (stage, tone or None, language)."""
    return _WORDINGS.catalogue()


def render(message: MessageContext, *, channels: Collection[Channel]) -> Rendered:
    """`message` as it leaves on `channels`; subject, text and HTML always, SMS and letter when asked for.

    Raises ValueError for what cannot be said: no items, a follow-up without due date, a demand without its terms.
    """
    customer, seller = message.customer, message.seller
    choice = between(customer, seller)
    view = build(message, choice)
    template = _WORDINGS.find(choice.language.code, message.stage, message.tone, message.template)
    prose = _WORDINGS.write(template, view, choice)
    body = lay_out(message, view, prose, choice.language)
    subject, text = plain_spaces(prose.subject), plain.write(prose, body, choice.language)
    html = _LAYOUT.write(prose, body, choice, view.seller, subject)
    short = sms.write(message, view, prose.heading, choice) if Channel.SMS in channels else None
    pdf = letter.write(message, view, prose, body, choice) if Channel.LETTER in channels else None
    mail = (subject, text, html) if Channel.EMAIL in channels else ()
    return Rendered(
        language=choice.tag,
        subject=subject,
        text=text,
        html=html,
        digest=_digest(*mail, short, pdf),
        sms=short,
        letter=pdf,
    )


def _digest(*parts: str | bytes | None) -> str:
    """SHA-256 over the parts that leave, each with its length, so that no two messages share one by concatenation."""
    whole = hashlib.sha256()
    for part in parts:
        if part is not None:
            raw = part if isinstance(part, bytes) else part.encode("utf-8")
            whole.update(len(raw).to_bytes(8, "big"))
            whole.update(raw)
    return whole.hexdigest()
