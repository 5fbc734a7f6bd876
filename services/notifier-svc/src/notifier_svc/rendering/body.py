"""One message laid out as greeting, paragraphs, tables and footer, whatever it is then written on."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from notifier_svc.rendering import clean
from notifier_svc.rendering.context import MessageContext
from notifier_svc.rendering.facts import Line, View
from notifier_svc.rendering.formats import NBSP
from notifier_svc.rendering.language import Language
from notifier_svc.rendering.view import divided
from notifier_svc.rendering.wordings import Prose
from remit_events.state import SellerState, Stage

REFERENCE_LIMIT = 140  # SEPA unstructured remittance information


class Row(NamedTuple):
    """A label and its value; `strong` for the sums that matter."""

    label: str
    value: str
    strong: bool = False


class Entry(NamedTuple):
    """One invoice of a list: number and amount, and below them what belongs to it."""

    number: str
    details: tuple[str, ...]
    amount: str


class Body(NamedTuple):
    """`facts` describe a single invoice (or a demand's sums), `entries` several with their `totals`."""

    greeting: str
    entries: tuple[Entry, ...]
    totals: tuple[Row, ...]
    facts: tuple[Row, ...]
    note: str
    pay: tuple[Row, ...]
    pay_link: str | None
    pay_missing: str
    signature: tuple[str, ...]
    contact: str
    reason: str
    imprint: str
    unsubscribe: str | None


def lay_out(message: MessageContext, view: View, prose: Prose, words: Language) -> Body:
    """The parts of `message` that are not its prose."""
    seller, asks = message.seller, message.stage is not Stage.THANKS
    pay = _pay(message, words) if asks else ()
    link = clean.link(seller.payment_link) if asks else None
    return Body(
        greeting=prose.greeting or _greeting(view, words),
        entries=tuple(_entry(line, message.stage, words) for line in view.lines) if len(view.lines) > 1 else (),
        totals=_totals(message.stage, view, words),
        facts=_facts(message.stage, view, words),
        note=words.say("partial") if view.partial else "",
        pay=pay,
        pay_link=link,
        pay_missing=words.say("ask_how_to_pay") if asks and not seller.iban and not link else "",
        signature=tuple(filter(None, (prose.signoff, clean.line(seller.account_manager), view.seller))),
        contact=contact(seller, words),
        reason=words.say(_REASONS.get(message.stage, "reason_open"), seller=view.seller, invoices=view.mentioned),
        imprint=", ".join((view.seller, *clean.lines(seller.address))),
        unsubscribe=_unsubscribe(message),
    )


_REASONS = {Stage.INVOICE: "reason_invoice", Stage.THANKS: "reason_thanks"}


def _greeting(view: View, words: Language) -> str:
    if view.company or not view.customer:
        return words.say("salutation_company")
    return words.say("salutation_person", name=clean.clip(view.customer, 80))


def _totals(stage: Stage, view: View, words: Language) -> tuple[Row, ...]:
    """One row per currency; what is asked for and what is only coming apart."""
    if len(view.lines) == 1 or view.claim:
        return ()
    if not view.coming:
        return tuple(Row(words.say("total"), sum_, strong=True) for sum_ in view.totals)
    now, later = (words.say(f"total_{stage}"), words.say(f"total_not_{stage}"))
    asked = [Row(now, sum_, strong=True) for sum_ in view.totals]
    return (*asked, *(Row(later, sum_) for sum_ in view.coming.totals))


def _facts(stage: Stage, view: View, words: Language) -> tuple[Row, ...]:
    rows = _invoice_facts(stage, view.lines[0], words) if len(view.lines) == 1 else []
    say = words.say
    if claim := view.claim:
        rows.append(Row(say("principal"), claim.principal))
        if claim.interest:
            rows.append(Row(say("interest"), claim.interest))
        if claim.compensation:
            rows.append(Row(say("compensation"), claim.compensation))
        rows += [Row(say("claim_total"), claim.total, strong=True), Row(say("pay_by"), claim.deadline, strong=True)]
        rows.append(Row(say("reminders_sent"), str(claim.reminders)))
    if stage is Stage.THANKS and (received := view.received):
        rows.append(Row(say("received_amount"), received.amount, strong=True))
        if received.elsewhere:
            rows.append(Row(say("received_elsewhere"), received.elsewhere))
        if received.credit:
            rows.append(Row(say("received_credit"), received.credit))
        rows.append(Row(say("received_on"), received.on))
        if received.reference:
            rows.append(Row(say("received_reference"), received.reference))
    return tuple(rows)


def _invoice_facts(stage: Stage, line: Line, words: Language) -> list[Row]:
    say = words.say
    rows = [Row(say("invoice_number"), line.number), Row(say("invoice_date"), line.issued)]
    if stage is Stage.THANKS:
        rows.append(Row(say("invoice_total"), line.total))
        rows.append(Row(say("balance"), line.balance, strong=True) if line.balance else Row(say("status"), line.status))
        return rows
    if line.amount != line.total or (stage is Stage.INVOICE and line.paid):
        rows.append(Row(say("invoice_total"), line.total))
    if line.paid:
        rows.append(Row(say("paid"), line.paid))
    if line.disputed:
        rows.append(Row(say("disputed"), line.disputed))
    if stage is Stage.INVOICE and line.paid:
        rows.append(Row(say("amount"), line.balance or "", strong=True))
    elif stage is not Stage.DEMAND:
        rows.append(Row(say("invoice_total" if stage is Stage.INVOICE else "amount"), line.amount, strong=True))
    if line.due:
        rows.append(Row(say("due_date"), line.due))
        rows.append(Row(say("status"), line.status))
    return rows


def _entry(line: Line, stage: Stage, words: Language) -> Entry:
    say = words.say
    details = [say("issued_on", date=line.issued)]
    if stage is Stage.THANKS:
        details.append(say("balance_of", balance=line.balance) if line.balance else line.status)
        return Entry(line.number, tuple(details), line.total)
    if line.due:
        details += [say("due_on", date=line.due), line.status]
    if line.paid:
        details.append(say("paid_of", paid=line.paid, total=line.total))
    if line.disputed:
        details.append(say("disputed_of", disputed=line.disputed, total=line.total))
    return Entry(line.number, tuple(details), line.amount)


def _pay(message: MessageContext, words: Language) -> tuple[Row, ...]:
    seller, say = message.seller, words.say
    rows = []
    if seller.iban:
        rows.append(Row(say("account_holder"), clean.line(seller.name, 70)))
        rows.append(Row(say("iban"), grouped_iban(seller.iban), strong=True))
        if seller.bic:
            rows.append(Row(say("bic"), clean.line(seller.bic, 11)))
        if seller.bank_name:
            rows.append(Row(say("bank"), clean.line(seller.bank_name, 70)))
    if seller.has_way_to_pay:
        rows.append(Row(say("reference"), reference(message), strong=True))
    return tuple(rows)


def grouped_iban(iban: str) -> str:
    """DE89 3704 0044 … in groups of four."""
    compact = clean.line(iban, 42).replace(" ", "").replace("\u00a0", "").upper()
    return " ".join(compact[i : i + 4] for i in range(0, len(compact), 4))


def reference(message: MessageContext) -> str:
    """What the payer writes on the transfer: the numbers of what is asked for; the customer's when too many."""
    numbers = ", ".join(clean.line(item.invoice.number) for item in divided(message)[0])
    return numbers if len(numbers) <= REFERENCE_LIMIT else clean.line(message.customer.external_id, REFERENCE_LIMIT)


def contact(seller: SellerState, words: Language, *, on_paper: bool = False) -> str:
    """Whom to ask, in one phrase: the reply address and the telephone number there are.

    A letter cannot be replied to: without either it names the seller's postal address ("" without that too).
    """
    email, phone = clean.line(seller.reply_to or seller.sender_email), clean.line(seller.phone, 40)
    phone = phone.replace(" ", NBSP)  # a number is not torn apart at a line's end
    if email and phone:
        return words.say("contact_email_phone", email=email, phone=phone)
    if email:
        return words.say("contact_email", email=email)
    if phone:
        return words.say("contact_phone", phone=phone)
    if not on_paper:
        return words.say("contact_reply")
    return words.say("contact_address") if clean.lines(seller.address) else ""


def _unsubscribe(message: MessageContext) -> str | None:
    if url := clean.link(message.unsubscribe_url):
        return url
    address = clean.line(message.unsubscribe_mailto, 320)
    if not address:
        return None
    bare, _, query = address.removeprefix("mailto:").partition("?")
    return f"mailto:{quote(bare, safe='@+')}" + (f"?{quote(query, safe='=&%+')}" if query else "")
