"""Letters: a print-ready PDF (A4, fonts embedded, window envelope after DIN 5008 form B, EPC QR code where it applies).

User text reaches typst only as JSON data, never as source. The same message gives the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import Any

import segno.helpers
import typst

from notifier_svc.rendering import clean
from notifier_svc.rendering.body import Body, Row, contact, reference
from notifier_svc.rendering.context import MessageContext
from notifier_svc.rendering.facts import View
from notifier_svc.rendering.language import TEMPLATES, Choice
from notifier_svc.rendering.view import payable
from notifier_svc.rendering.wordings import Prose
from remit_events.state import Stage
from remit_service.money import from_minor

_LONG_WORD = re.compile(r"(\S{40})(?=\S)")
_LONG_IN_BLOCK = re.compile(r"([^\s\u200b]{20})(?=[^\s\u200b])")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_EPC_NAME, _EPC_MAX_MINOR = 70, 99_999_999_999  # EPC069-12
_WORDS = ("letter_page", "letter_page_of", "letter_scan", "invoice", "amount_short", "how_to_pay", "questions")


def write(message: MessageContext, view: View, prose: Prose, body: Body, choice: Choice) -> bytes:
    """The letter as PDF; some milliseconds of typesetting."""
    data = _breakable(_data(message, view, prose, body, choice)) | {"qr": epc_qr(message)}
    moment = datetime.combine(message.local_date, time(), tzinfo=UTC)
    pdf = typst.compile(
        _source(),
        font_paths=_fonts(),
        sys_inputs={"letter": json.dumps(data, ensure_ascii=False)},
        timestamp=moment,
    )
    if not isinstance(pdf, bytes):
        raise TypeError("typst gave no single PDF")
    return pdf


@lru_cache(maxsize=1)
def _source() -> bytes:
    return (TEMPLATES / "shared" / "letter.typ").read_bytes()


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    """Those inside the wheel, and the system's for scripts they lack."""
    return typst.Fonts()


def _data(message: MessageContext, view: View, prose: Prose, body: Body, choice: Choice) -> dict[str, Any]:
    base, _, region = choice.formats.locale_id.partition("_")
    day = message.local_date
    pay = [*body.pay]
    if body.pay_link:
        pay.append(Row(choice.language.say("pay_online"), body.pay_link))
    name, address = clean.line(message.customer.name, 80), clean.lines(message.customer.address)
    return {
        "lang": base,
        "region": region[-2:].lower() if region[-2:].isalpha() and len(region) >= 2 else None,
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "words": {key: choice.language.say(key) for key in _WORDS},
        "seller": view.seller,
        "sender": clean.clip(" · ".join((view.seller, *clean.lines(message.seller.address))), 120),
        "recipient": [*([name] if name not in address[:1] else []), *address],
        "info": [row._asdict() for row in _info(message, choice)],
        "subject": prose.subject,
        "greeting": body.greeting,
        "opening": prose.opening,
        "closing": prose.closing,
        "entries": [entry._asdict() for entry in body.entries],
        "totals": [row._asdict() for row in body.totals],
        "facts": [row._asdict() for row in body.facts],
        "note": body.note,
        "pay": [row._asdict() for row in pay],
        "pay_missing": body.pay_missing,
        "contact": contact(message.seller, choice.language, on_paper=True),
        "signature": body.signature,
        "imprint": body.imprint,
    }


def _info(message: MessageContext, choice: Choice) -> list[Row]:
    seller, say = message.seller, choice.language.say
    rows = [
        (say("letter_date"), choice.formats.long(message.local_date)),
        (say("letter_customer"), clean.line(message.customer.external_id, 40)),
        (say("letter_contact"), clean.line(seller.account_manager, 60)),
        (say("letter_phone"), clean.line(seller.phone, 40)),
        (say("letter_email"), clean.line(seller.reply_to or seller.sender_email, 80).replace("@", "@\u200b")),
    ]
    return [Row(label, _LONG_IN_BLOCK.sub("\\1\u200b", value)) for label, value in rows if value]


def _breakable(value: Any) -> Any:
    """Words too long for a line get places to break, or they would run off the paper."""
    if isinstance(value, str):
        return _LONG_WORD.sub("\\1\u200b", value)
    if isinstance(value, dict):
        return {key: _breakable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_breakable(part) for part in value]
    return value


def epc_qr(message: MessageContext) -> str | None:
    """The transfer as an EPC QR code (SVG): for one sum in euro to an IBAN, when something is asked for."""
    owed, seller = payable(message), message.seller
    if message.stage is Stage.THANKS or not seller.iban or list(owed) != ["EUR"]:
        return None
    if not 0 < owed["EUR"] <= _EPC_MAX_MINOR or not _is_iban(seller.iban):
        return None
    try:
        code = segno.helpers.make_epc_qr(
            name=clean.line(seller.name, _EPC_NAME),
            iban=seller.iban,
            bic=seller.bic or None,
            amount=from_minor(owed["EUR"], "EUR"),
            text=reference(message),
        )
    except ValueError:  # an account the standard does not take: the letter goes without a code
        return None
    svg = io.BytesIO()
    code.save(svg, kind="svg", border=2)
    return svg.getvalue().decode()


def _is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616): a code that pays someone else is worse than none."""
    compact = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(compact):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1
