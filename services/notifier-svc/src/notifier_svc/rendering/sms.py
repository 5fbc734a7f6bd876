"""Short messages: who asks for what, how to pay, how to stop, in two segments at most where that is possible.

GSM 03.38 carries 160 septets alone and 153 per segment of a longer message, UCS-2 70 and 67 characters (3GPP 23.038).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from notifier_svc.rendering import clean
from notifier_svc.rendering.body import grouped_iban, reference
from notifier_svc.rendering.context import MessageContext
from notifier_svc.rendering.facts import View
from notifier_svc.rendering.language import Choice
from remit_events.state import Stage

SEGMENTS = 2
# Longest name and what is said beside the claim: what is dropped first matters least.
_FITTING = (
    (40, "when next pay paid contact"),
    (40, "when next pay contact"),
    (40, "when next pay"),
    (20, "when next pay"),
    (20, "when next"),
    (20, "next"),
    (20, ""),
)
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_ESCAPED = frozenset("^{}\\[~]|€")
_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "…": "...",
     "\u00a0": " ", "\u202f": " ", "\u2011": "-", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "ı": "i"}
)  # fmt: skip
_SPACE_BEFORE_COLON = re.compile(r" (?=[:;!?])")


def segments(text: str) -> int:
    """How many segments `text` is sent in."""
    if _septets(text) is not None:
        size, alone, each = _septets(text) or 0, 160, 153
    else:
        size, alone, each = len(text.encode("utf-16-be", "replace")) // 2, 70, 67
    return 1 if size <= alone else -(-size // each)


def write(message: MessageContext, view: View, heading: str, choice: Choice) -> str:
    """One short message for all items; it always names the seller and how to stop."""
    say = choice.language.say
    stop = say("sms_stop")
    extras = {
        "pay": _pay(message, choice),
        "paid": say("sms_paid") if message.stage in (Stage.OVERDUE, Stage.DEMAND) else "",
        "next": _next(view, choice),
        "contact": _contact(message, choice),
    }
    for name_limit, kept in _FITTING:
        parts = [_main(message, view if "when" in kept else replace(view, when=""), heading, choice, name_limit)]
        parts += [text for key, text in extras.items() if key in kept.split() and text]
        text = _gsm(" ".join((*parts, stop)))
        if segments(text) <= SEGMENTS:
            break
    return text


def _main(message: MessageContext, view: View, heading: str, choice: Choice, name_limit: int) -> str:
    say, seller = choice.language.say, clean.line(message.seller.name, name_limit)
    if message.stage is Stage.THANKS:
        amount = (view.received.these or view.received.amount) if view.received else view.amounts
        return say("sms_thanks", seller=seller, amount=amount, invoices=view.invoices)
    values = {"seller": seller, "heading": heading, "invoices": view.invoices_start, "amounts": view.amounts}
    values["when"] = f", {view.when}" if view.when else ""
    if view.claim:
        values |= {"amounts": view.claim.total, "deadline": view.claim.deadline_short}
        return say("sms_demand", **values)
    return say("sms_message", **values)


def _next(view: View, choice: Choice) -> str:
    if not view.coming:
        return ""
    coming = view.coming
    return choice.language.say("sms_next", invoices=coming.invoices, amounts=coming.amounts, when=coming.when)


def _pay(message: MessageContext, choice: Choice) -> str:
    if message.stage is Stage.THANKS:
        return ""
    if link := clean.link(message.seller.payment_link):
        return choice.language.say("sms_pay_link", link=link)
    if message.seller.iban:
        iban = grouped_iban(message.seller.iban).replace(" ", "")
        return choice.language.say("sms_pay_iban", iban=iban, reference=reference(message))
    return ""


def _contact(message: MessageContext, choice: Choice) -> str:
    seller = message.seller
    known = clean.line(seller.phone, 40) or clean.line(seller.reply_to or seller.sender_email, 80)
    return choice.language.say("sms_contact", contact=known) + "." if known else ""


def _septets(text: str) -> int | None:
    """Length in GSM septets; None when a character is outside the alphabet."""
    total = 0
    for char in text:
        if char in _GSM:
            total += 1
        elif char in _GSM_ESCAPED:
            total += 2
        else:
            return None
    return total


def _gsm(text: str) -> str:
    """`text` in the GSM alphabet when plain letters can stand for its accents and typography, else as it is."""
    text = _SPACE_BEFORE_COLON.sub("", text.translate(_TYPOGRAPHY))
    folded = "".join(_folded(text))
    return folded if _septets(folded) is not None else text


def _folded(text: str) -> Iterable[str]:
    for char in text:
        if char in _GSM or char in _GSM_ESCAPED:
            yield char
        else:
            yield "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
