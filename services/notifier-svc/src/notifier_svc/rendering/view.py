"""From a message to its facts: what it asks for and what is only coming, cleaned and formatted in its language.

Nothing here is markup, and nothing is computed in templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from notifier_svc.rendering import clean
from notifier_svc.rendering.context import MessageContext, PaymentInfo
from notifier_svc.rendering.facts import Claim, Line, Part, Received, View
from notifier_svc.rendering.language import Choice, Language
from remit_events.schedule import Item
from remit_events.state import Stage

FOLLOW_UPS = frozenset({Stage.UPCOMING, Stage.DUE, Stage.OVERDUE, Stage.DEMAND})
_NAMED_IN_FULL = 3  # invoices a subject names before it counts the rest
# How many days overdue an invoice is at least that a message of the stage is about.
_ASKED_FROM = {Stage.DUE: 0, Stage.OVERDUE: 1}


def build(message: MessageContext, choice: Choice) -> View:
    """The facts of `message`. ValueError: no items, a follow-up without a due date, a demand without its terms."""
    _check(message)
    asked, rest = divided(message)
    coming = Part(**_part(rest, message.stage, choice)) if rest else None
    return View(
        **_part(asked, message.stage, choice),
        seller=clean.fenced(clean.line(message.seller.name)),
        seller_short=clean.fenced(clean.line(message.seller.name, 40)),
        customer=clean.fenced(clean.line(message.customer.name)),
        company=message.customer.profile != "individual",
        coming=coming,
        coming_after=_after(coming, choice.language),
        mentioned=_named([item.invoice.number for item in message.items], choice.language),
        partial=any(_disputed(item, message.stage) for item in message.items),
        settled=all(item.invoice.balance_minor == 0 for item in message.items),
        lines=tuple(_line(item, message.stage, choice) for item in (*asked, *rest)),
        claim=_claim(message, choice),
        received=_received(message.payment, choice) if message.payment else None,
    )


def _part(items: Sequence[Item], stage: Stage, choice: Choice) -> dict[str, Any]:
    """The phrases about `items`, by the names of Part's fields."""
    language = choice.language
    numbers = _numbers([item.invoice.number for item in items], language)
    reference = min(items, key=lambda item: item.invoice.due_date or date.max)
    totals = tuple(choice.formats.money(minor, currency) for currency, minor in _totals(items, stage).items())
    return {
        "n": len(items),
        "single": len(items) == 1,
        "count": language.plural("count", len(items)),
        "invoices": language.plural("invoices", len(items), numbers=numbers),
        "invoices_start": language.plural("invoices_start", len(items), numbers=numbers),
        "numbers": numbers,
        "amounts": language.listed(totals),
        "totals": totals,
        "due": choice.formats.long(reference.invoice.due_date) if reference.invoice.due_date else "",
        "days": reference.days_overdue,
        "status": _status(reference, language),
        "relative": _relative(reference.days_overdue, language),
        "when": _when(reference, len(items), choice),
    }


def _check(message: MessageContext) -> None:
    if not message.items:
        raise ValueError("a message needs at least one invoice")
    if message.stage in FOLLOW_UPS and message.items[0].invoice.due_date is None:
        raise ValueError(f"stage {message.stage} needs a due date")
    if message.stage is Stage.DEMAND and message.demand is None:
        raise ValueError("a demand needs its terms")


def amount_of(item: Item, stage: Stage) -> int:
    """Minor units a line stands for: what is asked, but the invoice's whole sum when it is presented or thanked for."""
    return item.invoice.total_minor if stage in (Stage.INVOICE, Stage.THANKS) else item.amount_minor


def divided(message: MessageContext) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What the message asks to be paid, and what it only lists because it falls due later."""
    least = _ASKED_FROM.get(message.stage)
    if least is None:
        return message.items, ()
    asked = tuple(item for item in message.items if item.days_overdue >= least)
    coming = tuple(item for item in message.items if item.days_overdue < least)
    return (asked, coming) if asked else (coming, ())


def _totals(items: Sequence[Item], stage: Stage) -> dict[str, int]:
    totals: dict[str, int] = {}
    for item in items:
        currency = item.invoice.currency
        totals[currency] = totals.get(currency, 0) + amount_of(item, stage)
    return totals


def payable(message: MessageContext) -> dict[str, int]:
    """What is asked for in all, minor units by currency; a demand's interest and compensation included."""
    totals = _totals(divided(message)[0], message.stage)
    if message.demand:
        extra = message.demand.interest_minor + message.demand.compensation_minor
        totals[message.items[0].invoice.currency] += extra
    return totals


def _after(coming: Part | None, language: Language) -> str:
    if coming is None:
        return ""
    return language.say("coming_after", invoices=coming.invoices, amounts=coming.amounts, when=coming.when)


def _named(numbers: Sequence[str], language: Language) -> str:
    return language.plural("invoices", len(numbers), numbers=_numbers(numbers, language))


def _numbers(given: Sequence[str], language: Language) -> str:
    numbers = [clean.fenced(clean.line(number, 32)) for number in given]
    if len(numbers) <= _NAMED_IN_FULL:
        return language.listed(numbers)
    return language.plural("more", len(numbers) - 2, numbers=", ".join(numbers[:2]))


def _relative(days_overdue: int, language: Language) -> str:
    """7 days overdue; today; in 7 days."""
    if days_overdue > 0:
        return language.plural("overdue_short", days_overdue)
    return language.plural("upcoming_short", -days_overdue)


def _status(item: Item, language: Language) -> str:
    """As `_relative`, but a statement of its own: due in 7 days."""
    if item.invoice.due_date is None:
        return ""
    if item.days_overdue > 0:
        return language.plural("overdue", item.days_overdue)
    return language.plural("upcoming", -item.days_overdue)


def _when(item: Item, n: int, choice: Choice) -> str:
    """For subjects: due 31 Mar 2026 (7 days overdue); "" without a due date."""
    if item.invoice.due_date is None:
        return ""
    past = "past" if item.days_overdue > 0 else "today" if item.days_overdue == 0 else "future"
    return choice.language.plural(
        f"when_{past}",
        n,
        date=choice.formats.medium(item.invoice.due_date),
        relative=_relative(item.days_overdue, choice.language),
    )


def _disputed(item: Item, stage: Stage) -> int:
    """The part of the balance that a follow-up does not ask for because it is disputed, in minor units."""
    invoice = item.invoice
    if stage not in FOLLOW_UPS:
        return 0
    return min(invoice.disputed_minor, max(invoice.balance_minor - item.amount_minor, 0))


def _line(item: Item, stage: Stage, choice: Choice) -> Line:
    invoice, money = item.invoice, choice.formats.money
    paid, disputed = invoice.total_minor - invoice.balance_minor, _disputed(item, stage)
    settled = stage is Stage.THANKS and invoice.balance_minor == 0
    return Line(
        number=clean.line(invoice.number),
        issued=choice.formats.long(invoice.issue_date),
        due=choice.formats.long(invoice.due_date) if invoice.due_date else None,
        amount=money(amount_of(item, stage), invoice.currency),
        total=money(invoice.total_minor, invoice.currency),
        paid=money(paid, invoice.currency) if paid > 0 else None,
        disputed=money(disputed, invoice.currency) if disputed else None,
        balance=money(invoice.balance_minor, invoice.currency) if invoice.balance_minor else None,
        status=choice.language.say("settled") if settled else _status(item, choice.language),
    )


def _claim(message: MessageContext, choice: Choice) -> Claim | None:
    demand, formats = message.demand, choice.formats
    if demand is None:
        return None
    currency = message.items[0].invoice.currency
    listed = choice.language.listed
    return Claim(
        principal=listed([formats.money(minor, code) for code, minor in _totals(message.items, message.stage).items()]),
        interest=formats.money(demand.interest_minor, currency) if demand.interest_minor else None,
        compensation=formats.money(demand.compensation_minor, currency) if demand.compensation_minor else None,
        total=listed([formats.money(minor, code) for code, minor in payable(message).items()]),
        deadline=formats.long(demand.deadline),
        deadline_short=formats.medium(demand.deadline),
        reminders=demand.reminders_sent,
        reminders_sent=choice.language.plural("reminders", demand.reminders_sent),
    )


def _received(payment: PaymentInfo, choice: Choice) -> Received:
    rest = payment.elsewhere_minor + payment.credit_minor

    def money(minor: int) -> str:
        return choice.formats.money(minor, payment.currency)

    return Received(
        amount=money(payment.amount_minor),
        on=choice.formats.long(payment.received_on),
        reference=clean.line(payment.reference, 140),
        these=money(payment.amount_minor - rest) if rest else None,
        elsewhere=money(payment.elsewhere_minor) if payment.elsewhere_minor else None,
        others=_named(payment.elsewhere, choice.language),
        others_single=len(payment.elsewhere) == 1,
        credit=money(payment.credit_minor) if payment.credit_minor else None,
    )
